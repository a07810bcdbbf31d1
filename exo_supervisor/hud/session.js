// Who we are to the service: a token from the address, once, and from then on a cookie.
//
// The proof goes with everything that acts. It is kept where only this origin and tab can read it.

const PROOF = "exo-hud-proof";

/** Change the address's token for a session. Returns what is wrong, or null. */
export async function begin() {
  const given = new URLSearchParams(location.hash.slice(1)).get("t");
  if (!given) return null;
  history.replaceState(null, "", location.pathname);
  const answer = await fetch("/hud/session", {
    method: "POST",
    headers: { authorization: `Bearer ${given}` },
  }).catch(() => null);
  if (!answer) return "the service does not answer";
  if (!answer.ok) return (await told(answer)).message;
  sessionStorage.setItem(PROOF, (await answer.json()).proof);
  return null;
}

/** Ask for a view: `{status, body}`; status 0 where nobody answers. */
export async function look(path) {
  try {
    const answer = await fetch(path, { headers: { accept: "application/json" } });
    return { status: answer.status, body: answer.ok ? await answer.json() : await told(answer) };
  } catch {
    return { status: 0, body: { message: "the service does not answer", code: "unreachable" } };
  }
}

/** Send what acts; the browser adds our origin by itself. */
export function post(path, more = {}) {
  const headers = { ...more.headers, "x-hud-proof": sessionStorage.getItem(PROOF) ?? "" };
  return fetch(path, { method: "POST", ...more, headers });
}

/** Read an error that the service tells: `{message, code}`. */
export async function told(answer) {
  try {
    const { error } = await answer.json();
    return { message: String(error.message), code: String(error.code) };
  } catch {
    return { message: `HTTP status ${answer.status}`, code: "" };
  }
}
