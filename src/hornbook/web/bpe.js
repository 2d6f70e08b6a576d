// Byte-level BPE: a text is cut into words by an expression over Unicode, and in each word the pairs of
// neighbors that were learned first are merged first.

const ENDINGS = "'(?:[sdmt]|ll|ve|re)"; // GPT-2's expression, which tokenizer.json does not write out
const GPT2 = `${ENDINGS}| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+`;
const ANY_CASE = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"; // not all browsers know (?i:)
const SPELLED_OUT = "'(?:[sSſtTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])";

/** The function from a text to its words that a pre-tokenizer of a tokenizer.json describes. */
export function wordCutter(step) {
  const steps = (step.pretokenizers ?? [step]).map(cutterOf);
  return (text) => steps.reduce((pieces, cut) => pieces.flatMap(cut), [text]);
}

function cutterOf(step) {
  if (step.type === "Digits") return matcher("\\p{N}|\\P{N}+");
  if (step.type === "Split") return matcher(step.pattern.Regex);
  return step.use_regex ? matcher(GPT2) : (piece) => [piece];
}

/** White space as Unicode has it: \s of JavaScript is not the same. */
function matcher(pattern) {
  const written = pattern
    .replace(ANY_CASE, SPELLED_OUT)
    .replaceAll("\\s", "\\p{White_Space}")
    .replaceAll("\\S", "\\P{White_Space}");
  const expression = new RegExp(written, "gu");
  return (piece) => piece.match(expression) ?? [];
}

/** GPT-2's letters for the 256 bytes. */
export function byteLetters() {
  const printable = (b) => (b > 32 && b < 127) || (b > 160 && b !== 173);
  let others = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable(b) ? b : others++));
}

/** The function from the letters of a word to its tokens, which keeps what it found. */
export function merger(merges) {
  const ranks = new Map(merges.map((pair, i) => [Array.isArray(pair) ? pair.join(" ") : pair, i]));
  const known = new Map();
  return (letters) => {
    if (!known.has(letters)) known.set(letters, merged([...letters], ranks));
    return known.get(letters);
  };
}

function merged(tokens, ranks) {
  for (;;) {
    let best = Infinity;
    let at = -1;
    for (let i = 0; i + 1 < tokens.length; i++) {
      const rank = ranks.get(`${tokens[i]} ${tokens[i + 1]}`) ?? Infinity;
      if (rank < best) [best, at] = [rank, i];
    }
    if (at < 0) return tokens;
    tokens.splice(at, 2, tokens[at] + tokens[at + 1]);
  }
}
