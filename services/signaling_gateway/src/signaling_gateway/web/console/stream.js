/**
 * What goes on, from the gateway, for as long as the page is looked at.
 *
 * Server-sent events read with fetch, because EventSource cannot send a key. A connection that is lost, or silent, is
 * made again; a tab that nobody sees lets go of it, as a browser has only six to one address.
 */

const KEY = "p2p-operator-key";
const SILENT_MS = 8_000; // totals come each second; a stopped gateway says nothing at all
const FIRST_MS = 400;
const LONGEST_MS = 5_000;
const HIDDEN_MS = 20_000;

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

const headers = () => (key.get() ? { "X-API-Key": key.get() } : {});

/** A refusal, as the gateway says it. */
export class Refused extends Error {
  constructor(status, { detail, code } = {}) {
    super(typeof detail === "string" ? detail : (detail?.[0]?.msg ?? `The gateway answered ${status}.`));
    this.status = status;
    this.code = code;
  }

  get wantsKey() {
    return this.status === 401 || this.status === 403;
  }
}

/** GET some JSON. @param {string} path @param {AbortSignal} [signal] */
export async function ask(path, signal) {
  const answer = await fetch(path, { headers: { Accept: "application/json", ...headers() }, cache: "no-store", signal });
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
  return answer.json();
}

export class Stream {
  #query = "";
  #attempt = 0;
  #failures = 0;
  #abort = new AbortController();
  #watchdog = 0;
  #retry = 0;
  #hiding = 0;

  /**
   * @param {(event: string, data: any) => void} onEvent
   * @param {(state: "connecting" | "live" | "lost" | "locked" | "refused" | "asleep", why: string) => void} onState
   */
  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    addEventListener("online", () => this.#begin());
    document.addEventListener("visibilitychange", () => this.#seen(!document.hidden));
  }

  /** Watch this instead. @param {URLSearchParams} query */
  watch(query) {
    if (query.toString() === this.#query) return;
    this.#query = query.toString();
    this.#begin();
  }

  /** Once more, at once: there is another key. */
  again() {
    this.#begin();
  }

  #seen(visible) {
    clearTimeout(this.#hiding);
    if (!visible) {
      this.#hiding = setTimeout(() => {
        this.#stop();
        this.onState("asleep", "");
      }, HIDDEN_MS);
    } else if (this.#abort.signal.aborted) {
      this.#begin();
    }
  }

  #stop() {
    this.#attempt += 1;
    clearTimeout(this.#watchdog);
    clearTimeout(this.#retry);
    this.#abort.abort();
  }

  async #begin() {
    this.#stop();
    const attempt = this.#attempt;
    this.#abort = new AbortController();
    let why = "The gateway does not answer.";
    try {
      this.#awaitNews();
      await this.#read(attempt);
      why = "The gateway has ended the connection.";
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (error instanceof Refused && (error.wantsKey || error.status === 422)) {
        this.#stop();
        this.onState(error.wantsKey ? "locked" : "refused", error.message);
        return;
      }
      if (error instanceof Refused) why = error.message;
    }
    if (attempt !== this.#attempt) return;
    this.#stop();
    this.onState("lost", why);
    const pause = Math.min(LONGEST_MS, FIRST_MS * 1.6 ** this.#failures) * (0.75 + Math.random() / 2);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#begin(), pause);
  }

  #awaitNews() {
    clearTimeout(this.#watchdog);
    const { signal } = this.#abort;
    this.#watchdog = setTimeout(() => !signal.aborted && this.#abort.abort(), SILENT_MS);
  }

  async #read(attempt) {
    const { signal } = this.#abort;
    const answer = await fetch(`/api/v1/console?${this.#query}`, {
      headers: { Accept: "text/event-stream", ...headers() },
      cache: "no-store",
      signal,
    });
    if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done || attempt !== this.#attempt) return;
      this.#awaitNews();
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      if (!events.length) continue;
      this.onState("live", "");
      this.#failures = 0;
      for (const event of events) this.#tell(event);
    }
  }

  #tell(text) {
    const [first, ...lines] = text.split("\n");
    const data = lines.map((line) => line.replace(/^data: /, "")).join("\n");
    this.onEvent(first.replace(/^event: /, ""), JSON.parse(data));
  }
}
