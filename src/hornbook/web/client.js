// Requests to the server: JSON, and server-sent events by fetch, which can send a key and be aborted.

const KEY = "hornbook key"; // in the storage of this tab
const STREAMS = 3; // open at a time; browsers open six connections to a server
const TURN = 2000; // milliseconds that a stream stays open while others wait
const AGAIN = 2000; // milliseconds before a lost stream is asked for again

/** askKey(wrong): asks the reader for the server's key; wrong: the last one was. */
export class Client {
  constructor(askKey) {
    this.askKey = askKey;
    this.turns = new Turns(STREAMS);
  }

  /** The answer to a GET, or to a POST of `body`. Throws an Error with the server's own words. */
  async fetch(path, { body, signal, headers = {} } = {}) {
    for (;;) {
      const key = sessionStorage.getItem(KEY);
      const own = { ...headers };
      if (key) own.Authorization = `Bearer ${key}`;
      if (body) own["Content-Type"] = "application/json";
      const request = { method: body ? "POST" : "GET", headers: own, signal };
      if (body) request.body = JSON.stringify(body);
      let answer;
      try {
        answer = await fetch(path, request);
      } catch (error) {
        if (signal?.aborted) throw error;
        throw new Error("The server does not answer. Is it still running?");
      }
      if (answer.ok) return answer;
      if (answer.status === 401) {
        this.asking ??= this.askKey(key !== null).finally(() => (this.asking = null));
        sessionStorage.setItem(KEY, await this.asking);
        continue;
      }
      const { error } = await answer.json().catch(() => ({}));
      throw new Error(error?.message ?? `The server answered ${answer.status}.`);
    }
  }

  async json(path, body, signal) {
    return (await this.fetch(path, { body, signal })).json();
  }

  /** Server-sent events, {event, id, data}, as they come. */
  async *events(path, options) {
    const answer = await this.fetch(path, options);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const found = { event: "message", id: null, data: "" };
        for (const line of block.split("\n")) {
          const [, name, text] = /^(\w+): ?(.*)$/.exec(line) ?? [];
          if (name) found[name] = text;
        }
        if (found.data) yield found;
      }
    }
  }

  /** The same until an event `end`; a stream that was lost is taken up where it broke off. Of many, only
   * a few are open at a time, in turns. */
  async *follow(path, signal) {
    const headers = {};
    while (!signal.aborted) {
      await this.turns.take();
      const turn = new AbortController();
      const stop = () => turn.abort();
      signal.addEventListener("abort", stop);
      const timer = setInterval(() => this.turns.waiting.length && stop(), TURN);
      try {
        if (signal.aborted) return;
        for await (const event of this.events(path, { signal: turn.signal, headers })) {
          if (event.event === "end") return;
          headers["Last-Event-ID"] = event.id;
          yield event;
        }
      } catch (error) {
        if (signal.aborted) return;
      } finally {
        clearInterval(timer);
        signal.removeEventListener("abort", stop);
        this.turns.give();
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }
}

/** So many may go on at a time; the others wait for their turn. */
class Turns {
  constructor(free) {
    Object.assign(this, { free, waiting: [] });
  }

  async take() {
    if (this.free > 0) this.free -= 1;
    else await new Promise((resolve) => this.waiting.push(resolve));
  }

  give() {
    const next = this.waiting.shift();
    if (next) next();
    else this.free += 1;
  }
}
