// The page: builds its parts around a backend, and writes the first samples.

import { about } from "./about.js";
import { attention, embeddings, tree } from "./look.js";
import { Write } from "./write.js";

const place = (id) => document.getElementById(id);

/** Shows a model. connect(): its backend (`backend.js`), or an error that is shown to the reader. */
export async function start(connect) {
  try {
    const backend = await connect();
    await build(backend, await backend.info());
    performance.mark("first sample");
    globalThis.hornbook = { backend, engine: backend.engine }; // for the console
  } catch (error) {
    place("error").textContent = `This page cannot be shown: ${error.message ?? error}`;
    place("error").hidden = false;
  }
}

async function build(backend, info) {
  document.title = info.name;
  place("name").textContent = info.name;
  place("summary").textContent = info.summary;
  const { write, looks } = parts(backend, info, () => looks.forEach((look) => look.refresh()));
  place("page").append(
    write.root,
    ...looks.map((look) => look.root),
    embeddings(backend).root,
    about(info),
  );
  await write.first();
}

/** Where a model writes, and what shows how it reads the text there. onChange(): that has changed. */
export function parts(backend, info, onChange) {
  const write = new Write(backend, info, onChange);
  const tokens = () => write.tokens;
  const looks = [tree(backend, tokens)];
  if (info.attention) looks.unshift(attention(backend, tokens));
  return { write, looks };
}
