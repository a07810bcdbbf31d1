// Figures and times as people read them. Nothing here is markup.

const HOUR = 3600;
const UNITS = [["d", 24 * HOUR], ["h", HOUR], ["min", 60]];

export function span(seconds) {
  for (const [unit, size] of UNITS) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${Math.max(0, Math.floor(seconds))} s`;
}

export function since(stamp) {
  const at = Date.parse(stamp);
  return Number.isNaN(at) ? "" : span((Date.now() - at) / 1000);
}

/** The time of day, and the day where it is another one. */
export function clock(stamp, { seconds = false } = {}) {
  const at = new Date(stamp);
  if (Number.isNaN(at.valueOf())) return "";
  const time = at.toTimeString().slice(0, seconds ? 8 : 5);
  return at.toDateString() === new Date().toDateString() ? time : `${stamp.slice(5, 10)} ${time}`;
}

export function count(value) {
  return Number.isFinite(value) ? value.toLocaleString("en") : "–";
}

export function bytes(size) {
  if (!Number.isFinite(size)) return "–";
  let unit = 0;
  while (size >= 1000 && unit < 5) [size, unit] = [size / 1000, unit + 1];
  return `${unit && size < 100 ? size.toFixed(1) : Math.round(size)} ${["B", "kB", "MB", "GB", "TB", "PB"][unit]}`;
}

export function seconds(value) {
  if (!Number.isFinite(value)) return "–";
  return value < 10 ? `${value.toFixed(2)} s` : span(value);
}

/** Money comes as a decimal text, and stays one: no sum is made here. */
export function money(text, currency = "USD") {
  if (text === null || text === undefined) return "–";
  const [whole, part = ""] = String(text).split(".");
  const cents = part.replace(/0+$/, "").slice(0, 6).padEnd(2, "0");
  return currency === "USD" ? `$${whole}.${cents}` : `${whole}.${cents} ${currency}`;
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** A long id, its beginning and its end. */
export function brief(text, most = 34) {
  const said = String(text ?? "");
  return said.length <= most ? said : `${said.slice(0, most - 12)}…${said.slice(-11)}`;
}
