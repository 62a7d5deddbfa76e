/**
 * Gets Twilio Access Tokens from django-twilio-tokens and keeps Twilio's SDKs supplied with them.
 *
 * @typedef {{token: string, jti: string, identity: string, account_sid: string, grants: object,
 *   issued_at: string, expires_at: string, expires_in: number, refresh_at: string}} AccessToken
 *   The site's answer. `token` is for Twilio's SDK, times are ISO 8601, `expires_in` is in seconds.
 * @typedef {{on: (event: any, listener: (value: any) => void) => any,
 *   updateToken: (token: string) => any, connectionState?: string}} SDK  a `Device`, `Client` or `SyncClient`
 * @typedef {object} Options
 * @property {() => HeadersInit | Promise<HeadersInit>} [headers]  called for each request
 * @property {RequestCredentials} [credentials]  "include" sends cookies to another origin
 * @property {string} [csrfCookie]  Django's CSRF_COOKIE_NAME; "" for no cookie
 * @property {string} [csrfHeader]  the header named by Django's CSRF_HEADER_NAME
 * @property {(answer: AccessToken) => void} [onToken]  called with each new token
 * @property {(error: Error, retryIn: number | null) => void} [onError]  seconds, or null for never
 */

const SECOND = 1000;
/** Limits for every wait, whatever site, network or SDK say. Some jitter comes on top. */
const [SHORTEST_WAIT, LONGEST_WAIT] = [SECOND, 3600 * SECOND];
/** For the site's answer and for the page's headers function. */
const TIME_LIMIT = 20 * SECOND;
/** An SDK gets its next token no sooner than this, or half a token's lifetime, after the last. */
const GAP = 30 * SECOND;
/** Twilio's only error code that a new token fixes; others would hit the next token, too. */
const EXPIRED = 20104;
const ASKING_EVENTS = ["tokenWillExpire", "tokenAboutToExpire", "tokenExpired"];

/** The site or the network gave no token. If `temporary`, the same request may succeed later. */
export class TokenError extends Error {
  /** @param {Response | null} response @param {any} answer  `{code, detail}`, or for each field */
  constructor(response, { code = "unexpected_answer", detail = "", ...fields }) {
    const status = response?.status ?? 0;
    const text = messages(detail) || messages(fields);
    super(text.slice(0, 1000) || `The site answered ${status}, but not with an access token.`);
    this.name = "TokenError";
    this.status = status;
    this.code = String(code);
    this.detail = this.message;
    this.retryAfter = response && retryAfter(response.headers);
    this.temporary = !response || status === 429 || status >= 500;
  }
}

/** Requests tokens from one address, always the same kind and for the same user. */
export class TokenSource {
  #stop = new AbortController();
  #request = /** @type {Promise<AccessToken> | null} */ (null);
  #token = "";
  #identity = "";
  /** The SDKs, and whether each is being given a token right now. @type {Map<SDK, boolean>} */
  #supplied = new Map();
  #timer = 0;
  #refreshing = false;
  #refreshAt = 0;
  #notBefore = 0;
  #wake = () => this.#lookAtClock();

  /**
   * @param {string | URL} url  the site's tokens/, or one product, such as tokens/video/
   * @param {object} ask  the body: `{room: "DailyStandup"}`, or for tokens/ `{video: {}, chat: {}}`
   * @param {Options} options
   */
  constructor(url, ask = {}, options = {}) {
    this.url = new URL(url, location.href);
    this.ask = ask;
    this.options = options;
  }

  /**
   * Gets a new token and also gives it to the supplied SDKs. Concurrent callers share one request.
   * Temporary failures are retried after the site's Retry-After, up to `tries` attempts in all.
   * @returns {Promise<AccessToken>} or throws a TokenError; an AbortError once stopped
   */
  async get({ tries = 1 } = {}) {
    for (let failures = 0; ; failures++) {
      try {
        return await (this.#request ??= this.#fetch().finally(() => (this.#request = null)));
      } catch (error) {
        if (!(error instanceof TokenError && error.temporary && failures + 1 < tries)) throw error;
        const least = Math.max(Math.min(2 ** failures, 30), error.retryAfter ?? 0) * SECOND;
        // Add jitter, so that browsers do not all come back at once.
        const wait = Math.min(least, LONGEST_WAIT) * (1 + Math.random() / 2);
        safely(() => this.options.onError?.(error, wait / SECOND));
        await this.#sleep(wait, { orOnline: error.code === "network" });
      }
    }
  }

  /**
   * Keeps an SDK supplied with tokens: at `refresh_at`, and when its events ask for one. Call
   * `stop()` before you unregister a Device or shut down a Client: a new token would bring it back.
   * @param {SDK} sdk  created with the last token from `get()`
   */
  supply(sdk) {
    const { signal } = this.#stop;
    if (signal.aborted || this.#supplied.has(sdk)) return;
    const refresh = () => this.#lookAtClock(now());
    for (const event of ASKING_EVENTS) sdk.on(event, refresh);
    sdk.on("error", (error) => error?.code === EXPIRED && refresh());
    sdk.on("connectionError", (error) => error?.errorCode === EXPIRED && refresh());
    sdk.on("destroyed", () => this.#supplied.delete(sdk));
    document.addEventListener("visibilitychange", this.#wake, { signal });
    addEventListener("online", this.#wake, { signal });
    this.#supplied.set(sdk, false);
    this.#lookAtClock();
  }

  /** Ends all requests and callbacks. */
  stop() {
    this.#stop.abort();
    clearTimeout(this.#timer);
    this.options = {};
  }

  async #fetch() {
    const { signal } = this.#stop;
    signal.throwIfAborted();
    // An undefined room must not become a token for every room: the site refuses null.
    const body = JSON.stringify(this.ask, (_, value) =>
      typeof value === "function" ? null : (value ?? null),
    );
    const { response, text } = await this.#send(body).catch((error) => {
      signal.throwIfAborted();
      const detail = `No token from the site: ${error?.message ?? error}`;
      throw new TokenError(null, { code: "network", detail });
    });
    signal.throwIfAborted();
    const answer = accessToken(response, text);
    this.#identity ||= answer.identity;
    if (answer.identity !== this.#identity) {
      const detail = `The signed-in user is now ${answer.identity}, not ${this.#identity}.`;
      const error = new TokenError(response, { code: "identity_changed", detail });
      safely(() => this.options.onError?.(error, null));
      this.stop();
      throw error;
    }
    this.#token = answer.token;
    const gap = Math.min(GAP, (answer.expires_in * SECOND) / 2);
    this.#notBefore = now() + Math.max(gap, SHORTEST_WAIT);
    // As a duration, because this clock may differ from the site's.
    const wait = Date.parse(answer.refresh_at) - Date.parse(answer.issued_at);
    this.#refreshAt = Math.max(now() + wait, this.#notBefore);
    for (const sdk of this.#supplied.keys()) this.#hand(sdk);
    safely(() => this.options.onToken?.(answer));
    this.#lookAtClock();
    return answer;
  }

  /** @param {string} body */
  async #send(body) {
    const { headers: more = () => ({}), credentials = "same-origin" } = this.options;
    const { csrfCookie = "csrftoken", csrfHeader = "X-CSRFToken" } = this.options;
    const asked = (async () => new Headers((await more()) ?? {}))();
    const own = /** @type {Headers | undefined} */ (await this.#sleep(TIME_LIMIT, { or: asked }));
    if (!own) throw new Error("the headers function did not answer in time");
    const headers = new Headers({ Accept: "application/json", "Content-Type": "application/json" });
    // Not location.origin: a sandboxed page has no origin, and may not read cookies.
    const withCookies = credentials !== "omit" && this.url.origin === self.origin;
    const token = withCookies && csrfToken(csrfCookie);
    if (token) headers.set(csrfHeader, token);
    own.forEach((value, name) => headers.set(name, value));
    const response = await fetch(this.url, {
      method: "POST",
      body,
      headers,
      credentials,
      // Following a redirect would send our headers elsewhere, and mostly turn POST into GET.
      redirect: "manual",
      signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(TIME_LIMIT)]),
    });
    return { response, text: await response.text() };
  }

  /** One token after another, because a Client loses tokens that overlap. @param {SDK} sdk */
  async #hand(sdk) {
    if (this.#supplied.get(sdk)) return;
    this.#supplied.set(sdk, true);
    const { signal } = this.#stop;
    for (let given = ""; given !== this.#token && this.#supplied.has(sdk) && !signal.aborted; ) {
      given = this.#token;
      try {
        // A Client also loses a token that it gets while Twilio closes its connection.
        for (let tenths = 0; sdk.connectionState === "disconnecting" && tenths < 100; tenths++) {
          await this.#sleep(SECOND / 10);
        }
        await this.#sleep(10 * SECOND, { or: sdk.updateToken(given) });
      } catch (error) {
        safely(() => this.options.onError?.(/** @type {Error} */ (error), null));
      }
    }
    if (this.#supplied.has(sdk)) this.#supplied.set(sdk, false);
  }

  /** Refreshes when it is time. @param {number} [wanted]  when an SDK wants a token */
  #lookAtClock(wanted = Infinity) {
    clearTimeout(this.#timer);
    this.#refreshAt = Math.min(this.#refreshAt, Math.max(wanted, this.#notBefore));
    const wait = this.#supplied.size ? this.#refreshAt - now() : Infinity;
    if (this.#stop.signal.aborted || this.#refreshing || wait === Infinity) return;
    if (wait <= 0) this.#refresh();
    else this.#timer = later(this.#wake, wait);
  }

  async #refresh() {
    this.#refreshing = true;
    await this.get({ tries: Infinity }).catch((error) => {
      // Another request would get the same answer, so wait until an SDK's event gives a reason.
      [this.#refreshAt, this.#notBefore] = [Infinity, now() + GAP];
      safely(() => this.options.onError?.(error, null));
    });
    this.#refreshing = false;
    this.#lookAtClock();
  }

  /**
   * @param {number} ms @param {{or?: any, orOnline?: boolean}} [sooner]  when a promise settles, or
   *   when the network is back; not immediately, because the connection may flap
   * @returns {Promise<any>} the promise's value, if it settled first
   */
  async #sleep(ms, sooner = {}) {
    const { signal } = this.#stop;
    signal.throwIfAborted();
    const start = now();
    let [end, timer] = [start + ms, 0];
    const { promise, resolve, reject } = Promise.withResolvers();
    const look = () => {
      clearTimeout(timer);
      const rest = end - now();
      if (rest <= 0) resolve(undefined);
      else timer = later(look, rest);
    };
    const online = () => {
      end = Math.min(end, start + SHORTEST_WAIT);
      look();
    };
    const stop = () => reject(signal.reason);
    if (sooner.orOnline) addEventListener("online", online);
    signal.addEventListener("abort", stop);
    if ("or" in sooner) Promise.resolve(sooner.or).then(resolve, reject);
    look();
    return promise.finally(() => {
      clearTimeout(timer);
      removeEventListener("online", online);
      signal.removeEventListener("abort", stop);
    });
  }
}

/** @param {Response} response @param {string} body @returns {AccessToken} or throws a TokenError */
function accessToken(response, body) {
  const answer = parsed(body);
  if (response.type === "opaqueredirect") {
    answer.detail = "The site redirects. Is the user signed in, and does the address end in “/”?";
  }
  if (!response.ok) throw new TokenError(response, answer);
  const { token, identity, issued_at, refresh_at, expires_at, expires_in } = answer;
  const [issued, refresh, expires] = [issued_at, refresh_at, expires_at].map(Date.parse);
  const texts = [token, identity].every((value) => typeof value === "string" && value);
  // Twilio accepts a day at most: https://www.twilio.com/docs/api/errors/20157
  const lives = typeof expires_in === "number" && expires_in > 0 && expires_in <= 86_400;
  const agrees = Math.abs(expires - issued - expires_in * SECOND) < SECOND;
  if (texts && lives && agrees && issued <= refresh && refresh <= expires) return answer;
  // Not from the answer itself, because its token would become part of the message.
  const detail = token && "The site's token came without an identity, or without valid times.";
  throw new TokenError(response, { detail });
}

/** @param {string} body @returns {any} an object, empty if the body is anything else */
function parsed(body) {
  try {
    const value = JSON.parse(body);
    return value?.constructor === Object ? value : {};
  } catch {
    return {};
  }
}

/** In seconds, if in the future. Proxies send a date by their own clock. @param {Headers} headers */
function retryAfter(headers) {
  const after = headers.get("Retry-After") ?? "";
  const here = Date.parse(headers.get("Date") ?? "") || Date.now();
  const seconds = /^\d+$/.test(after) ? Number(after) : (Date.parse(after) - here) / SECOND;
  return seconds > 0 ? seconds : null;
}

/** @param {any} errors  `{field: [messages]}`, nested by product @returns {string} */
function messages(errors, depth = 0) {
  if (typeof errors !== "object" || depth > 9) return String(errors);
  const at = (/** @type {string} */ name) => (/^\d|^non_field/.test(name) ? "" : `${name}: `);
  return Object.entries(errors ?? {})
    .map(([name, value]) => at(name) + messages(value, depth + 1))
    .join(" ");
}

/** From Django's cookie, or else from a form on the page or `<meta name="csrf-token">`. */
function csrfToken(/** @type {string} */ cookieName) {
  const cookies = document.cookie.split("; ").filter((each) => each.startsWith(`${cookieName}=`));
  const field = document.querySelector("input[name=csrfmiddlewaretoken], meta[name=csrf-token]");
  // Of several cookies, for other paths or domains, Django uses the last.
  const cookie = cookies.at(-1)?.slice(cookieName.length + 1);
  return cookie || field?.getAttribute("value") || field?.getAttribute("content");
}

/** An error in a callback belongs to the page and changes nothing here. */
function safely(/** @type {() => void} */ callback) {
  try {
    callback();
  } catch (error) {
    reportError(error);
  }
}

/** Or sooner, because timers stand still while a laptop sleeps. */
const later = (/** @type {() => void} */ look, /** @type {number} */ ms) =>
  setTimeout(look, Math.ceil(Math.min(ms, 30 * SECOND)));

let [elapsed, lastDate, lastTick] = [0, Date.now(), performance.now()];

/** Milliseconds that count on while a laptop sleeps, and never go back when its clock is set. */
function now() {
  const [date, tick] = [Date.now(), performance.now()];
  elapsed += Math.max(date - lastDate, tick - lastTick);
  [lastDate, lastTick] = [date, tick];
  return elapsed;
}
