// What models with a cache of bounded length share: the way past the context.

/** A model that reads one token after the other and keeps what it computed.
 *
 * A subclass has `emptyCache()`, `read(id, state, position)` -> a hidden vector, and `head(hidden)` ->
 * logits. When the context is full the newest tokens are read again as a row of their own: the newer
 * half (window "half"), or all of the context for each token ("sliding"). */
export class CachedModel {
  constructor(contextLength) {
    this.contextLength = contextLength;
  }

  /** Reads the last `contextLength` ids as a row of their own. seen: takes the weights of attention. */
  start(ids, window = "half", seen = null) {
    const state = { ids: [], cache: this.emptyCache(), window, seen };
    let hidden = null;
    for (const id of ids.slice(-this.contextLength)) {
      state.ids.push(id);
      hidden = this.read(id, state, state.ids.length - 1);
    }
    return { logits: this.head(hidden), state };
  }

  /** Appends one token. */
  step(id, state) {
    if (state.ids.length === this.contextLength) {
      const kept =
        state.window === "sliding" ? this.contextLength : Math.max(1, this.contextLength >> 1);
      const again = this.start([...state.ids, id].slice(-kept), state.window, state.seen);
      Object.assign(state, again.state);
      return again.logits;
    }
    state.ids.push(id);
    return this.head(this.read(id, state, state.ids.length - 1));
  }
}
