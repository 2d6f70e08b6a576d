// The page as one file, with the model in it: `hornbook export RUN --to html`.

import { LocalBackend } from "./backend.js";
import { start } from "./page.js";

start(() => LocalBackend.ofPage());
