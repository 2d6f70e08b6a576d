// A run's log as it is written, and what else is known of it.

/** The log of one run. onChange(): there are new records, samples or baselines. */
export class Followed {
  constructor(client, name, onChange) {
    Object.assign(this, { client, name, onChange });
    this.records = [];
    this.samples = []; // {title, texts}, the newest first
    this.baselines = null;
    this.path = `/hornbook/runs/${name.split("/").map(encodeURIComponent).join("/")}`;
  }

  /** Reads the log, and goes on reading it while the run is in training. */
  async start() {
    if (this.stopping) return;
    this.stopping = new AbortController();
    const { signal } = this.stopping;
    this.records = [];
    if (!this.baselines)
      this.client
        .json(`${this.path}/baselines`, undefined, signal)
        .then((found) => {
          this.baselines = found;
          this.onChange();
        })
        .catch(() => {}); // the picture has no such lines
    for await (const { data } of this.client.follow(`${this.path}/log/events`, signal)) {
      const record = JSON.parse(data);
      const last = this.records.at(-1);
      if (last && record.step < last.step) // a log that was cut, as its run was resumed
        this.records = this.records.filter(({ step }) => step < record.step);
      this.records.push(record);
      if (this.sampling && record.val_loss != null) this.sampleSoon();
      this.onChange(record);
    }
    if (!signal.aborted) this.stopping = null;
  }

  stop() {
    this.stopping?.abort();
    this.stopping = null;
  }

  /** Draws samples now, and at each further evaluation. */
  sample() {
    this.sampling = true;
    return this.drawn();
  }

  sampleSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.drawn(), 500); // the weights are written by then
  }

  async drawn() {
    this.drawing = true;
    const found = await this.client.json(`${this.path}/samples`).catch(() => null);
    this.drawing = false;
    this.onChange();
    if (!found) return; // no weights yet
    const texts = found.report.length ? found.report.map(textOf) : found.live;
    const earlier = found.steps.map(({ step, texts }) => ({ title: this.titled(step), texts }));
    this.samples = [{ title: `The best weights${this.best()}`, texts }, ...earlier.reverse()];
    this.onChange();
  }

  /** The step of the lowest validation loss, and that. */
  best() {
    const evaluated = this.records.filter((record) => record.val_loss != null);
    const best = evaluated.reduce((a, b) => (a && a.val_loss <= b.val_loss ? a : b), null);
    return best ? `, step ${best.step}: validation loss ${best.val_loss.toFixed(3)}` : "";
  }

  titled(step) {
    const loss = this.records.find((record) => record.step === step)?.val_loss;
    return `Step ${step}${loss == null ? "" : `: validation loss ${loss.toFixed(3)}`}`;
  }
}

function textOf(sample) {
  return typeof sample === "string" ? sample : (sample.text ?? "");
}
