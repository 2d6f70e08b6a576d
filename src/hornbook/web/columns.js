// The columns of the table of runs, and how a run's figures are written.

export const COLUMNS = [
  { title: "Run", key: (run) => run.name },
  { title: "State", key: stateOf },
  { title: "Loss", key: (run) => run.nats, number: true, show: lossOf },
  { title: "Bits per byte", key: (run) => run.bits_per_byte, number: true, show: digits },
  { title: "Model", key: (run) => run.model },
  { title: "Parameters", key: (run) => run.n_parameters, number: true, show: count },
  { title: "Text", key: (run) => run.corpus },
  { title: "Steps", key: (run) => run.steps, number: true, show: stepsOf },
  { title: "Seconds", key: (run) => run.seconds, number: true, show: (run, s) => (s == null ? "" : s.toFixed(1)) },
  { title: "Created", key: (run) => run.created, show: (run, text) => text.slice(0, 16).replace("T", " ") },
];

export function stateOf(run) {
  if (run.held) return "in training";
  return run.finished ? "finished" : "stopped";
}

export function lossOf(run, nats) {
  if (nats == null) return "";
  return run.standard_error == null ? nats.toFixed(4) : `${nats.toFixed(4)} ± ${run.standard_error.toFixed(4)}`;
}

export function stepsOf(run) {
  const done = count(run, run.steps);
  return run.finished ? done : `${done} of ${count(run, run.total_steps)}`;
}

function digits(run, value) {
  return value == null ? "" : value.toFixed(4);
}

export function count(run, value) {
  return value == null ? "" : value.toLocaleString("en");
}

/** The newest validation loss of a log. */
export function newest(records) {
  const last = records.findLast((record) => record.val_loss != null);
  return last ? `${last.val_loss.toFixed(4)} at step ${last.step}` : "none yet";
}
