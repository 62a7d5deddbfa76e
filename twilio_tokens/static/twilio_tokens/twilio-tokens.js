/**
 * Twilio Access Tokens from django-twilio-tokens, and Twilio's SDKs supplied with them.
 *
 * @typedef {{token: string, jti: string, identity: string, account_sid: string, grants: object,
 *   issued_at: string, expires_at: string, expires_in: number, refresh_at: string}} AccessToken
 *   The site's answer: `token` is for Twilio's SDK, times are ISO 8601, `expires_in` is in seconds.
 * @typedef {{on: (event: any, listener: (value: any) => void) => any,
 *   updateToken: (token: string) => any, connectionState?: string}} SDK  a `Device` or a `Client`
 * @typedef {object} Options
 * @property {() => object | Promise<object>} [headers]  for token authentication; asked each time
 * @property {RequestCredentials} [credentials]  "include" sends cookies to another origin
 * @property {(answer: AccessToken) => void} [onToken]  told of each new token
 * @property {(error: Error, retryIn: number | null) => void} [onError]  in seconds, null for never
 */

const SECOND = 1000;
/** An SDK that asks gets a token no sooner than this, or half a token's life, after the last. */
const SHORTEST_GAP = 30 * SECOND;
/** Twilio's code for which a new token helps; other refusals would meet the next one, too. */
const EXPIRED = 20104;
const ASKING_EVENTS = ["tokenWillExpire", "tokenAboutToExpire", "tokenExpired"];

/** The site, or the network, gave no token; if it is `temporary`, the same may succeed later. */
export class TokenError extends Error {
  /** @param {Response | null} response @param {any} answer  `{code, detail}`, or for each field */
  constructor(response, { code = "unexpected_answer", detail = "", ...fields }) {
    const status = response?.status ?? 0;
    super(detail || messages(fields) || `The site answered ${status}, and not with a token.`);
    this.name = "TokenError";
    this.status = status;
    this.code = /** @type {string} */ (code);
    this.detail = this.message;
    const after = response?.headers.get("Retry-After") ?? ""; // seconds, or a date as of proxies
    const seconds = Number(after) || (Date.parse(after) - Date.now()) / SECOND;
    this.retryAfter = seconds > 0 ? seconds : null;
    this.temporary = status === 0 || status === 429 || status >= 500;
  }
}

/** Asks one address of the site, always for the same. */
export class TokenSource {
  #stop = new AbortController();
  #request = /** @type {Promise<AccessToken> | null} */ (null);
  #token = "";
  /** Each SDK, and whether it is being given a token. @type {Map<SDK, boolean>} */
  #supplied = new Map();
  #timer = 0;
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
   * @returns {Promise<AccessToken>} or throws a TokenError; an AbortError once stopped
   */
  async get({ tries = 1 } = {}) {
    for (let failures = 0; ; failures++) {
      try {
        return await (this.#request ??= this.#fetch().finally(() => (this.#request = null)));
      } catch (error) {
        if (!(error instanceof TokenError && error.temporary) || failures + 1 >= tries) throw error;
        // Longer each time unless the site says how long; and more, lest all come back at once.
        const wait = (error.retryAfter ?? Math.min(2 ** failures, 30)) * (1 + Math.random() / 2);
        this.options.onError?.(error, wait);
        await this.#sleep(wait * SECOND, error.status === 0);
      }
    }
  }

  /**
   * Keep an SDK in tokens: by the token's `refresh_at`, and when its events ask. Call `stop()`
   * before you unregister a Device or shut a Client down: a new token would bring it back.
   * @param {SDK} sdk  made with the last token of `get()`
   */
  supply(sdk) {
    const refresh = () => this.#lookAtClock(Date.now());
    for (const event of ASKING_EVENTS) sdk.on(event, refresh);
    sdk.on("error", (error) => error.code === EXPIRED && refresh());
    sdk.on("destroyed", () => this.#supplied.delete(sdk));
    sdk.on("connectionError", (error) => error.errorCode === EXPIRED && refresh());
    const { signal } = this.#stop;
    document.addEventListener("visibilitychange", () => this.#lookAtClock(), { signal });
    addEventListener("online", () => this.#lookAtClock(), { signal });
    this.#supplied.set(sdk, false);
    this.#lookAtClock();
  }

  /** Ask for nothing any more, and tell nothing. */
  stop() {
    this.#stop.abort();
    this.options = {};
  }

  async #fetch() {
    const { signal } = this.#stop;
    const response = await this.#send().catch(({ message }) => {
      signal.throwIfAborted();
      throw new TokenError(null, { code: "network", detail: `No answer of the site: ${message}` });
    });
    const answer = Object(await response.json().catch(() => null));
    signal.throwIfAborted();
    if (!response.ok || !answer.token) throw new TokenError(response, answer);
    this.#token = answer.token;
    this.#notBefore = Date.now() + Math.min(SHORTEST_GAP, (answer.expires_in * SECOND) / 2);
    // By the time that passes here: this clock may differ from the site's.
    this.#refreshAt = Date.now() + Date.parse(answer.refresh_at) - Date.parse(answer.issued_at);
    for (const sdk of this.#supplied.keys()) this.#hand(sdk);
    this.options.onToken?.(answer);
    return answer;
  }

  async #send() {
    const { headers, credentials = "same-origin" } = this.options;
    const ownCookies = credentials === "include" || this.url.origin === location.origin;
    const type = { Accept: "application/json", "Content-Type": "application/json" };
    return fetch(this.url, {
      method: "POST",
      body: JSON.stringify(this.ask),
      headers: { ...type, ...(ownCookies && csrfHeader()), ...(await headers?.()) },
      credentials,
      signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(20 * SECOND)]),
    });
  }

  /** One token after the other, as a Client loses those that overlap. @param {SDK} sdk */
  async #hand(sdk) {
    if (this.#supplied.get(sdk)) return;
    this.#supplied.set(sdk, true);
    try {
      for (let given = ""; given !== this.#token; ) {
        // What a Client gets while Twilio closes its connection is lost as well.
        while (sdk.connectionState === "disconnecting") await this.#sleep(SECOND / 10);
        given = this.#token;
        await Promise.race([sdk.updateToken(given), this.#sleep(10 * SECOND)]);
      }
    } catch (error) {
      this.options.onError?.(/** @type {Error} */ (error), null);
    }
    this.#supplied.set(sdk, false);
  }

  /** Refresh when it is time. @param {number} [wanted]  when an SDK asks for it */
  #lookAtClock(wanted = Infinity) {
    clearTimeout(this.#timer);
    this.#refreshAt = Math.min(this.#refreshAt, Math.max(wanted, this.#notBefore));
    const wait = this.#supplied.size ? this.#refreshAt - Date.now() : Infinity;
    if (this.#stop.signal.aborted || this.#refreshing || wait === Infinity) return;
    if (wait <= 0) this.#refresh();
    // Not in one wait: timers stand still while a laptop sleeps.
    else this.#timer = setTimeout(() => this.#lookAtClock(), Math.min(wait, 30 * SECOND));
  }

  async #refresh() {
    this.#refreshing = true;
    await this.get({ tries: Infinity }).catch((error) => {
      // Asking again would be answered the same, until an event of an SDK gives a reason to.
      [this.#refreshAt, this.#notBefore] = [Infinity, Date.now() + SHORTEST_GAP];
      this.options.onError?.(error, null);
    });
    this.#refreshing = false;
    this.#lookAtClock();
  }

  /** @param {number} ms @param {boolean} [orOnline]  or until the network is back */
  #sleep(ms, orOnline) {
    const { signal } = this.#stop;
    return new Promise((resolve, reject) => {
      setTimeout(resolve, ms);
      if (orOnline) addEventListener("online", resolve, { once: true, signal });
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }
}

/** @param {any} errors  `{field: [messages]}`, nested by product @returns {string} */
function messages(errors) {
  if (typeof errors !== "object") return String(errors);
  const at = (/** @type {string} */ name) => (/^\d|^non_field/.test(name) ? "" : `${name}: `);
  return Object.entries(errors ?? {}).map(([name, value]) => at(name) + messages(value)).join(" ");
}

/** From Django's cookie, or from a form of the page where scripts cannot see the cookie. */
function csrfHeader() {
  const cookie = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];
  const input = document.querySelector("input[name=csrfmiddlewaretoken]");
  return { "X-CSRFToken": cookie ?? input?.getAttribute("value") ?? "" };
}
