// @ts-check
/**
 * Twilio Access Tokens from django-twilio-tokens, and Twilio's SDKs supplied with them.
 *
 *     const tokens = new TokenSource("/twilio/tokens/voice/", { incoming: true });
 *     const device = new Twilio.Device((await tokens.get()).token);
 *     tokens.supply(device);
 *
 * @typedef {{token: string, jti: string, identity: string, account_sid: string, grants: object,
 *   issued_at: string, expires_at: string, expires_in: number, refresh_at: string}} AccessToken
 *   What the site answers: `token` is for Twilio's SDK, times are ISO 8601, `expires_in` is seconds.
 *
 * @typedef {object} SDK  A Voice `Device` or a Conversations `Client`.
 * @property {(event: any, listener: (value: any) => void) => any} on
 * @property {(token: string) => any} updateToken
 *
 * @typedef {object} Options
 * @property {() => Record<string, string> | Promise<Record<string, string>>} [headers]
 *   for token or JWT authentication; asked before each request
 * @property {RequestCredentials} [credentials]  "include" sends cookies to another origin
 * @property {(answer: AccessToken) => void} [onToken]  told of each new token
 * @property {(error: Error, retryIn: number | null) => void} [onError]
 *   told of what goes wrong in the background, and in how many seconds it is tried again, if it is
 */

const SECOND = 1000;
const REQUEST_TIMEOUT = 20 * SECOND;
const LONGEST_BACK_OFF = 60 * SECOND;
/** Timers stand still while a laptop sleeps, so the clock is looked at this often. */
const LOOK_AT_CLOCK = 30 * SECOND;
/** An SDK gets a token no sooner than this, or half a token's life, after the last one. */
const SHORTEST_GAP = 30 * SECOND;
/** Twilio's code where a new token helps; others would be met by the next token too. */
const EXPIRED = 20104;

/** The site, or the network, gave no token. */
export class TokenError extends Error {
  /**
   * @param {number} status  of the HTTP answer, 0 if there was none
   * @param {string} code  the site's, such as "throttled"; else "network" or "unexpected_answer"
   * @param {string} detail  for people
   * @param {number | null} retryAfter  seconds, if the site says so
   */
  constructor(status, code, detail, retryAfter = null) {
    super(detail);
    Object.assign(this, { name: "TokenError" });
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfter = retryAfter;
    /** Whether the same request may succeed later. */
    this.temporary = status === 0 || status === 429 || status >= 500;
  }
}

/** Asks one address of the site, always for the same. */
export class TokenSource {
  #stop = new AbortController();
  /** @type {Promise<AccessToken> | undefined} */
  #request;
  /** @type {Set<SDK>} */
  #supplied = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #refreshing = false;
  #refreshAt = 0;
  #notBefore = 0;

  /**
   * @param {string | URL} url  of the site's tokens/, or of one product, such as tokens/video/
   * @param {object} ask  the body: `{room: "DailyStandup"}`, or for tokens/ `{video: {}, chat: {}}`
   * @param {Options} options
   */
  constructor(url, ask = {}, options = {}) {
    this.url = new URL(url, location.href);
    this.ask = ask;
    this.options = options;
  }

  /**
   * A new token, which supplied SDKs get as well. Callers share a request that is under way.
   * What may succeed later is tried again, `tries` times in all, after the site's Retry-After.
   *
   * @returns {Promise<AccessToken>} or throws a TokenError; an AbortError once stopped
   */
  async get({ tries = 1 } = {}) {
    for (let failures = 1; ; failures++) {
      try {
        this.#request ??= this.#fetch().finally(() => (this.#request = undefined));
        return await this.#request;
      } catch (error) {
        if (!(error instanceof TokenError && error.temporary) || failures >= tries) throw error;
        const wait = pause(error, failures);
        this.options.onError?.(error, wait / SECOND);
        await this.#sleep(wait, error.status === 0);
      }
    }
  }

  /**
   * Keep an SDK in tokens until `stop()`: by the token's `refresh_at`, and when its events ask.
   *
   * @param {SDK} sdk  made with the last token of `get()`
   */
  supply(sdk) {
    const refresh = () => this.#lookAtClock(Date.now());
    for (const event of ["tokenWillExpire", "tokenAboutToExpire", "tokenExpired"]) sdk.on(event, refresh);
    sdk.on("error", (error) => error.code === EXPIRED && refresh());
    sdk.on("connectionError", (error) => error.errorCode === EXPIRED && refresh());
    if (!this.#supplied.size) {
      const { signal } = this.#stop;
      document.addEventListener("visibilitychange", () => this.#lookAtClock(), { signal });
      addEventListener("online", () => this.#lookAtClock(), { signal });
    }
    this.#supplied.add(sdk);
    this.#lookAtClock();
  }

  /** Ask for nothing any more. */
  stop() {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  async #fetch() {
    const { headers, credentials = "same-origin", onToken } = this.options;
    const { signal } = this.#stop;
    const ownCookies = credentials === "include" || this.url.origin === location.origin;
    const response = await fetch(this.url, {
      method: "POST",
      body: JSON.stringify(this.ask),
      headers: {
        Accept: "application/json",
        "Content-Type": "application/json",
        ...(ownCookies && csrfHeader()),
        ...(await headers?.()),
      },
      credentials,
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT)]),
    }).catch((error) => {
      signal.throwIfAborted();
      throw new TokenError(0, "network", `The site cannot be reached: ${error.message}`);
    });
    const answer = await response.json().catch(() => null);
    signal.throwIfAborted();
    if (!response.ok || !answer?.token) throw refusal(response, answer);
    this.#notBefore = Date.now() + Math.min(SHORTEST_GAP, (answer.expires_in * SECOND) / 2);
    // By the time that passes here: this clock may differ from the site's.
    this.#refreshAt = Date.now() + Date.parse(answer.refresh_at) - Date.parse(answer.issued_at);
    for (const sdk of this.#supplied) this.#hand(sdk, answer.token);
    onToken?.(answer);
    return answer;
  }

  /** @param {SDK} sdk @param {string} token */
  async #hand(sdk, token) {
    try {
      await sdk.updateToken(token);
    } catch (error) {
      this.options.onError?.(/** @type {Error} */ (error), null);
    }
  }

  /** Refresh when it is time. @param {number} [wanted]  when an SDK asks for it */
  #lookAtClock(wanted = Infinity) {
    clearTimeout(this.#timer);
    this.#refreshAt = Math.min(this.#refreshAt, Math.max(wanted, this.#notBefore));
    const wait = this.#refreshAt - Date.now();
    if (this.#stop.signal.aborted || this.#refreshing || wait === Infinity) return;
    if (wait <= 0) this.#refresh();
    else this.#timer = setTimeout(() => this.#lookAtClock(), Math.min(wait, LOOK_AT_CLOCK));
  }

  async #refresh() {
    this.#refreshing = true;
    await this.get({ tries: Infinity }).catch((error) => {
      // Asking again would be answered the same, until an event of an SDK gives a reason to.
      this.#refreshAt = Infinity;
      this.#notBefore = Date.now() + SHORTEST_GAP;
      if (!this.#stop.signal.aborted) this.options.onError?.(error, null);
    });
    this.#refreshing = false;
    this.#lookAtClock();
  }

  /** @param {number} ms @param {boolean} orOnline  or until the network is back */
  #sleep(ms, orOnline) {
    const { signal } = this.#stop;
    return new Promise((resolve, reject) => {
      setTimeout(resolve, ms);
      if (orOnline) addEventListener("online", resolve, { once: true, signal });
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      if (signal.aborted) reject(signal.reason);
    });
  }
}

/** Milliseconds: as the site says, else more after each failure; some more, or not all come at once. */
function pause(/** @type {TokenError} */ { retryAfter }, /** @type {number} */ failures) {
  if (retryAfter !== null) return retryAfter * SECOND * (1 + Math.random() / 10);
  return Math.min(2 ** (failures - 1) * SECOND, LONGEST_BACK_OFF) * (0.5 + Math.random() / 2);
}

function refusal(/** @type {Response} */ { status, headers }, /** @type {any} */ answer) {
  const { code = "unexpected_answer", detail, ...fields } = Object(answer);
  const text = detail ?? (messages(fields) || `The site answered ${status}, and not with a token.`);
  // Proxies may send a date instead of seconds.
  const after = headers.get("Retry-After") ?? "";
  const seconds = Number(after) || (Date.parse(after) - Date.now()) / SECOND;
  return new TokenError(status, code, text, seconds > 0 ? seconds : null);
}

/** @param {any} errors  `{field: [messages]}`, nested by product @returns {string} */
function messages(errors, path = "") {
  if (typeof errors === "string") return path + errors;
  const named = (/** @type {string} */ name) => !Array.isArray(errors) && name !== "non_field_errors";
  return Object.entries(errors)
    .map(([name, value]) => messages(value, named(name) ? `${path}${name}: ` : path))
    .join(" ");
}

/** From Django's cookie, or from a form of the page where scripts cannot see the cookie. */
function csrfHeader() {
  /** @type {HTMLInputElement | null} */
  const input = document.querySelector("input[name=csrfmiddlewaretoken]");
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? input?.value;
  return token ? { "X-CSRFToken": token } : undefined;
}
