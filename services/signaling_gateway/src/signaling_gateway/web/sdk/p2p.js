/**
 * P2P Coordinator in the browser: enter a zone, get a data channel to the player's machine that hosts it, keep it.
 *
 *     import { P2PClient } from "/sdk/p2p.js";
 *
 *     const client = new P2PClient();
 *     client.on("message", (data) => console.log("host says", data));
 *     client.on("failed", (error) => console.warn(error.stage, error.code, error.message));
 *     await client.connect(location.origin, { peerId: "anna" });
 *     await client.enter("prontera");
 *     client.send("hello");
 *
 * Where the coordinator asks who calls, the game's own backend has a token made for the player whom it knows
 * (`POST /api/v1/auth/token` with its key, which never comes to a browser), and the page shows it:
 *
 *     const token = async () => (await fetch("/my-game/p2p-token")).text();
 *     await client.connect("https://p2p.example", { peerId: "anna", token });
 *
 * One file, no dependency, no build step. Players offer, hosts answer.
 */

/** @typedef {"signaling" | "placement" | "offer" | "answer" | "ice" | "channel"} Stage where something failed */

/**
 * @typedef {object} Session
 * @property {string} sessionId
 * @property {string | null} hostId
 * @property {string | null} hostPeerId the host's name in signaling
 * @property {number | null} epoch one more each time the host changes
 * @property {string[]} peers the other players
 * @property {string} traceparent W3C trace context of this join: its second part is the trace to look up
 * @property {{hostId: string, hostPeerId: string} | null} standby the host that takes over should this one be lost, where
 *   the zone asks for one: connected to ahead
 * @property {Events["fallback"] | null} fallback set while the central server serves the session instead of a host
 */

/**
 * An NPC, as far as the AI world told.
 * @typedef {object} Npc
 * @property {string} npc_id
 * @property {string} [name]
 * @property {string} [npc_class]
 * @property {number} [level]
 * @property {string} [map]
 * @property {number} [x]
 * @property {number} [y]
 * @property {string} [status]
 * @property {string} [updated_at]
 */

/**
 * The NPCs of the zone after something was told of them; again in each interval, with or without a change.
 * @typedef {object} Npcs
 * @property {string} zoneId
 * @property {ReadonlyMap<string, Npc>} npcs all of them, by id
 * @property {string[]} changed
 * @property {string[]} removed
 * @property {Record<string, any> | null} environment weather, time_of_day, season and whatever else is set
 * @property {boolean} stale whether the AI world has been silent for two intervals
 * @property {boolean} full whether this was everything, not only what changed
 * @property {string | null} traceparent of the urgent change that this brings
 */

/**
 * What each event carries; times are milliseconds.
 * @typedef {object} Events
 * @property {{state: "connecting" | "connected" | "closed"} | {state: "lost", reason: string, retryInMs: number}} signaling
 * @property {Session} session a seat is taken; the host is known
 * @property {{to: string, attempt: number}} offer
 * @property {{elapsedMs: number}} answer
 * @property {{state: RTCIceConnectionState}} ice
 * @property {{elapsedMs: number, candidateType: string | null}} open the data channel is open; since the offer. From now
 *   on `send` goes to this host alone
 * @property {string | ArrayBuffer} message after `open` of another host, for a second more also the last answers of the
 *   one before
 * @property {{ms: number, smoothedMs: number, lossPercent: number}} roundtrip to the host and back, on the data channel
 * @property {{peerId: string}} peer-joined
 * @property {{peerId: string, reason: string}} peer-left
 * @property {{error: P2PError, retryInMs: number}} lost the connection to the host; it is being made again, for a minute
 *   with one that we played with
 * @property {P2PError} failed nothing more is tried until `enter` or `join` is called again
 * @property {Npcs} npcs
 * @property {{reason: string, endpoint: string | null}} fallback the host is given up: play on the central server, until
 *   `migrated`; the seat is kept
 * @property {{hostId: string, epoch: number}} migrated another host serves the session; it is being connected to. Where
 *   the move was planned (a draining host, an operator's order) the one before carries messages until `open`; where the
 *   standby took over, `open` comes at once
 * @property {{reason: string}} ended the session is over
 */

/**
 * What the gateway answered to the game's backend, passed on as it is: renewed by itself, for a day. After a reload
 * the page needs another one.
 * @typedef {object} TokenPair
 * @property {string} token
 * @property {string} refresh_token
 * @property {number} expires_in seconds
 */

/**
 * A token, used as long as it lasts (an hour); a pair; or a function that is called for each connection, and again
 * later when it throws, unless that is a P2PError.
 * @typedef {string | TokenPair | (() => string | Promise<string>)} Token
 */

const SIGNALING_PATH = "/api/v1/signaling/ws";
const REFRESH_PATH = "/api/v1/auth/refresh";
const SESSIONS_PATH = "/api/v1/sessions";
const CONNECT_WITHIN_MS = 10_000;
const SEAT_WITHIN_MS = 8_000; // the gateway answers within 4 s, or says that it cannot
const ANSWER_WITHIN_MS = 10_000; // the host may first gather candidates, 5 s where a STUN server is silent
const CHANNEL_WITHIN_MS = 15_000; // from the answer on
const RECOVER_WITHIN_MS = 5_000; // ICE heals a short gap by itself
const PING_EVERY_MS = 500;
const PING_LOST_AFTER_MS = 3_000;
const PING_WINDOW = 60;
// A host that answers neither a ping nor three more is silent: said within 1,050 ms of its end, on average 800, so that
// with its closed socket it is known lost within a second. Three packets are seldom lost by chance; a longer gap is told.
const LATE_AFTER_MS = 250;
const LATE_AFTER_TRIPS = 3; // on a slow line
const ASK_AGAIN = 3;
const ASK_EVERY_MS = 100;
const MEASURED_AFTER_MS = 3_000; // the first pings share the line with what else begins
const MEASURED_EVERY_MS = 30_000; // the coordinator goes by a measure for 90 s
const OFFER_ATTEMPTS = 5; // a host whose signaling is just reconnecting is back within that many
const STEADY_AFTER_MS = 5_000;
const TOKEN_WITHIN_MS = 10_000;
const RENEWED_AFTER = 0.8; // of a token's life: the rest is for a gateway that is away
const ALIVE_EVERY_MS = 12_000; // a gateway that answers neither of two is gone: 36 s at most
const HOST_NAMED_WITHIN_MS = 2_000; // that there is none is said right after the seat
// A host without a signaling socket is found lost after 45 s, and its session moved a few seconds later.
const HOST_MOVES_WITHIN_MS = 60_000;
const MOST_BACKOFFS = 4; // 4 s: the host may have restarted, and its players wait
const PLANNED_MOVES = ["ordered", "host_draining"]; // whose former host goes on serving for a few seconds
const AHEAD_AFTER_MS = 500; // a standby is connected to when all that is needed now stands
const LAST_ANSWERS_MS = 1_000; // to what it was sent last, over a long line too

const GAME_LABEL = "game";
const PING_LABEL = "p2p-ping";
const FEED_LABEL = "p2p-feed";

const CLOSED_NOT_ALLOWED = 1008;
const CLOSED_REPLACED = 4001;

/** Something failed: at which stage, with which stable code, and in words for people. */
export class P2PError extends Error {
  /**
   * @param {Stage} stage
   * @param {string} code
   * @param {string} message
   */
  constructor(stage, code, message) {
    super(message);
    this.name = "P2PError";
    this.stage = stage;
    this.code = code;
  }
}

/** @param {{standby?: {host_id: string, host_peer_id: string} | null}} frame */
function standbyOf({ standby }) {
  return standby ? { hostId: standby.host_id, hostPeerId: standby.host_peer_id } : null;
}

/**
 * Wait before the try after `attempt` failed ones: doubles up to a bound, shortened by chance so that
 * many clients do not return as one.
 * @param {number} attempt
 */
function backoffMs(attempt) {
  return Math.min(15_000, 250 * 2 ** attempt) * (0.5 + Math.random() / 2);
}

/** @param {number} bytes */
function randomHex(bytes) {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A sampled W3C trace context: the trace of a join begins here. */
function newTraceparent() {
  return `00-${randomHex(16)}-${randomHex(8)}-01`;
}

/**
 * What a frame or a message says; null for what is no JSON object.
 * @param {any} text
 */
function parsed(text) {
  try {
    const said = JSON.parse(text);
    return said !== null && typeof said === "object" ? said : null;
  } catch {
    return null;
  }
}

/**
 * Give what comes, or reject: a page's own backend may be as silent as a gateway.
 * @template Given
 * @param {Given | Promise<Given>} given
 * @returns {Promise<Given>}
 */
async function inTime(given) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("no token came in time")), TOKEN_WITHIN_MS);
  });
  try {
    return await Promise.race([given, /** @type {Promise<never>} */ (late)]);
  } finally {
    clearTimeout(timer);
  }
}

/** What the gateway is shown, over HTTP too; made new before it ends, and when it was refused. */
class Pass {
  /** @type {TokenPair | null} */ #pair = null;
  /** @type {Promise<void> | null} */ #renewing = null;
  #renewAt = 0;
  #endsAt = 0;
  #unmeasured = false;

  /**
   * @param {Token | undefined} given
   * @param {URL} gateway
   */
  constructor(given, gateway) {
    this.given = given;
    this.gateway = gateway;
    if (typeof given === "object") this.#hold(given);
  }

  /** Whether another token can be had where one was refused. */
  get renewable() {
    return this.given !== undefined && typeof this.given !== "string";
  }

  /** @returns {Promise<string | undefined>} rejects with a P2PError when there is none to be had for good */
  async now() {
    if (typeof this.given === "function") return inTime(this.given());
    if (!this.#pair) return /** @type {string | undefined} */ (this.given);
    if (Date.now() >= this.#renewAt) {
      // One at a time: a refresh token that is used twice ends all that came of it.
      this.#renewing ??= this.#renew().finally(() => (this.#renewing = null));
      try {
        await this.#renewing;
      } catch (error) {
        if (error instanceof P2PError || Date.now() >= this.#endsAt) throw error;
      }
    }
    return this.#pair.token;
  }

  /** What was shown is no good. */
  refused() {
    this.#renewAt = this.#endsAt = 0;
  }

  /** @param {TokenPair} pair */
  #hold(pair) {
    this.#pair = pair;
    this.#renewAt = Date.now() + pair.expires_in * 1000 * RENEWED_AFTER;
    this.#endsAt = Date.now() + pair.expires_in * 1000;
  }

  async #renew() {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error("no token came in time")), TOKEN_WITHIN_MS);
    try {
      await this.#exchange(late.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param {AbortSignal} signal */
  async #exchange(signal) {
    const { token, refresh_token } = /** @type {TokenPair} */ (this.#pair);
    // The token first: an exchange whose answer was lost may be repeated, a refresh token only looks stolen.
    let answer = await this.#ask(signal, "POST", REFRESH_PATH, {}, token);
    if (answer.status === 401) answer = await this.#ask(signal, "POST", REFRESH_PATH, { refresh_token });
    if (answer.status === 401 || answer.status === 403) {
      throw new P2PError("signaling", "not_allowed", (await answer.json()).detail);
    }
    if (!answer.ok) throw new Error(`the gateway answered ${answer.status}`);
    this.#hold(await answer.json());
  }

  /**
   * Say how a player's connection is. Nobody waits for it: a gateway that is away hears the next measure, and one that
   * takes none of us hears no more.
   * @param {string} sessionId
   * @param {string} peerId
   * @param {Events["roundtrip"]} trip
   */
  async measured(sessionId, peerId, { smoothedMs, lossPercent }) {
    if (this.#unmeasured) return;
    const measures = { player_id: peerId, average_latency_ms: smoothedMs, packet_loss_percent: lossPercent };
    try {
      const token = await this.now();
      const path = `${SESSIONS_PATH}/${sessionId}/metrics`;
      const { status } = await this.#ask(AbortSignal.timeout(TOKEN_WITHIN_MS), "PATCH", path, measures, token);
      this.#unmeasured = status === 401 || status === 403;
    } catch {
      // As above.
    }
  }

  /**
   * @param {AbortSignal} signal
   * @param {string} method
   * @param {string} path
   * @param {object} body
   * @param {string} [token]
   */
  #ask(signal, method, path, body, token) {
    return fetch(new URL(path, this.gateway), {
      signal,
      method,
      headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    });
  }
}

/** A WebSocket to a gateway that is made again, with back-off, each time it is lost. */
class Signaling {
  /** @type {WebSocket | null} */ #socket = null;
  #attempt = 0;
  #openedAt = 0;
  #closed = false;
  #dialling = false;
  #tokenIsNew = false; // because the one before was refused
  /** @type {number | null} */ #returnAt = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #alive;
  #unanswered = 0;

  /**
   * @param {URL} url
   * @param {Pass} pass
   * @param {{open: () => void, frame: (frame: any) => void, state: (state: Events["signaling"]) => void,
   *          refused: (error: P2PError) => void}} hears
   */
  constructor(url, pass, hears) {
    this.url = url;
    this.pass = pass;
    this.hears = hears;
    globalThis.addEventListener?.("online", this.#retryNow);
    this.#dial();
  }

  get connected() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Whether it comes back by itself; one that was closed or refused does not. */
  get over() {
    return this.#closed;
  }

  /** @param {object} frame */
  send(frame) {
    if (this.connected) this.#socket?.send(JSON.stringify(frame));
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#alive);
    globalThis.removeEventListener?.("online", this.#retryNow);
    this.#socket?.close(1000);
    this.#socket = null;
    this.hears.state({ state: "closed" });
  }

  #retryNow = () => {
    if (this.#socket === null && !this.#dialling && !this.#closed) this.#dial();
  };

  async #dial() {
    clearTimeout(this.#timer);
    this.hears.state({ state: "connecting" });
    this.#dialling = true;
    try {
      const token = await this.pass.now();
      if (!this.#closed) this.#open(token);
    } catch (error) {
      if (!this.#closed) this.#notDialled(error);
    } finally {
      this.#dialling = false;
    }
  }

  /** @param {string | undefined} token */
  #open(token) {
    if (token) this.url.searchParams.set("token", token);
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#returnAt = null;
    // A gateway that stands still takes the connection, and never answers.
    this.#timer = setTimeout(() => {
      this.#lost(socket, 1006, "the gateway does not answer");
      socket.close();
    }, CONNECT_WITHIN_MS);
    socket.addEventListener("open", () => {
      if (socket !== this.#socket) return;
      clearTimeout(this.#timer);
      this.#openedAt = performance.now();
      this.#watch(socket);
      this.hears.state({ state: "connected" });
      this.hears.open();
    });
    socket.addEventListener("message", ({ data }) => socket === this.#socket && this.#heard(parsed(data)));
    socket.addEventListener("close", ({ code, reason }) => this.#lost(socket, code, reason));
  }

  /**
   * A page cannot see WebSocket's own pings, and a gateway that stands still closes nothing.
   * @param {WebSocket} socket
   */
  #watch(socket) {
    clearInterval(this.#alive);
    this.#unanswered = 0;
    this.#alive = setInterval(() => {
      if (socket !== this.#socket) return;
      if (this.#unanswered === 2) {
        this.#lost(socket, 1006, "the gateway does not answer");
        socket.close();
        return;
      }
      this.#unanswered += 1;
      this.send({ type: "ping", id: "alive" });
    }, ALIVE_EVERY_MS);
  }

  /** @param {any} frame */
  #heard(frame) {
    this.#unanswered = 0;
    if (frame === null || frame.type === "pong") return;
    if (frame.type === "reconnect") {
      clearTimeout(this.#timer);
      this.#returnAt = performance.now() + frame.after_ms;
      this.#timer = setTimeout(() => this.#socket?.close(1000), frame.after_ms);
    } else {
      this.hears.frame(frame);
    }
  }

  /**
   * @param {WebSocket} socket
   * @param {number} code
   * @param {string} reason
   */
  #lost(socket, code, reason) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    clearTimeout(this.#timer);
    clearInterval(this.#alive);
    if (code === CLOSED_REPLACED) {
      this.#giveUp(new P2PError("signaling", "replaced", "Another window took over this player's name."));
    } else if (code === CLOSED_NOT_ALLOWED && !this.#mayHaveAnother()) {
      this.#giveUp(new P2PError("signaling", "not_allowed", reason || "The gateway does not let this player in."));
    } else {
      this.#comeBack(reason || `connection closed (${code})`);
    }
  }

  /** Whether to come back with another token, which is tried once. */
  #mayHaveAnother() {
    const steady = this.#openedAt && performance.now() - this.#openedAt > STEADY_AFTER_MS;
    if (!this.pass.renewable || (this.#tokenIsNew && !steady)) return false;
    this.pass.refused();
    this.#tokenIsNew = true;
    return true;
  }

  /** @param {unknown} error */
  #notDialled(error) {
    if (error instanceof P2PError) this.#giveUp(error);
    else this.#comeBack(`cannot connect: ${error instanceof Error ? error.message : error}`);
  }

  /** @param {P2PError} error */
  #giveUp(error) {
    this.close();
    this.hears.refused(error);
  }

  /** @param {string} reason */
  #comeBack(reason) {
    if (this.#openedAt && performance.now() - this.#openedAt > STEADY_AFTER_MS) this.#attempt = 0;
    this.#openedAt = 0;
    const told = this.#returnAt === null ? null : Math.max(0, this.#returnAt - performance.now());
    const retryInMs = told ?? backoffMs(this.#attempt);
    this.#attempt += 1;
    this.hears.state({ state: "lost", reason, retryInMs });
    this.#timer = setTimeout(() => this.#dial(), retryInMs);
  }
}

/**
 * The NPCs as the host tells of them. The channel is ordered and the host leaves out what is old, so everything that is
 * full is the newest; what changes must follow on it.
 */
class NpcFold {
  /** @type {Map<string, Npc>} */ #npcs = new Map();
  /** @type {Record<string, any> | null} */ #environment = null;
  /** @type {number | null} */ #seq = null;

  /** The next message must be full; until then all stays as it is. */
  expectFull() {
    this.#seq = null;
  }

  /**
   * @param {any} told a message of the feed
   * @returns {Npcs | null | "missed"} null for one that tells nothing new
   */
  hear(told) {
    if (!told.full) {
      if (this.#seq === null || told.seq <= this.#seq) return null;
      if (told.seq > this.#seq + 1) {
        this.#seq = null;
        return "missed";
      }
    }
    const changed = told.npcs.map((/** @type {Npc} */ npc) => npc.npc_id);
    const removed = told.full ? this.#others(changed) : told.removed;
    for (const id of removed) this.#npcs.delete(id);
    for (const npc of told.npcs) this.#npcs.set(npc.npc_id, npc);
    this.#environment = told.environment ?? (told.full ? null : this.#environment);
    this.#seq = told.seq;
    return {
      zoneId: told.zone_id,
      npcs: new Map(this.#npcs),
      changed,
      removed,
      environment: this.#environment,
      stale: told.stale === true,
      full: told.full,
      traceparent: told.traceparent ?? null,
    };
  }

  /** @param {string[]} ids */
  #others(ids) {
    const kept = new Set(ids);
    return [...this.#npcs.keys()].filter((id) => !kept.has(id));
  }
}

/** One RTCPeerConnection to the host, from the offer to its end. Never reused: a new attempt is a new link. */
class HostLink {
  static #made = 0;
  #number = (HostLink.#made += 1);
  #ended = false;
  #openedAt = 0;
  #remoteSet = false;
  /** @type {RTCIceCandidateInit[]} */ #early = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #deadline;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #recovery;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #pinging;
  /** @type {Map<number, number>} */ #pings = new Map();
  /** @type {boolean[]} */ #fates = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #asking;
  #silent = false;
  #lastPing = 0;
  #smoothedMs = 0;
  #measuredAt = 0;

  /**
   * @param {RTCIceServer[]} iceServers
   * @param {{signal: (frame: object) => void, ice: (state: RTCIceConnectionState) => void,
   *          opened: (open: Events["open"]) => void, message: (data: string | ArrayBuffer) => void,
   *          roundtrip: (trip: Events["roundtrip"]) => void, measured: (trip: Events["roundtrip"]) => void,
   *          answered: (elapsedMs: number) => void,
   *          feed: (told: any) => void,
   *          silent: (silent: boolean) => void,
   *          ended: (error: P2PError) => void}} hears
   */
  constructor(iceServers, hears) {
    this.hears = hears;
    this.beganAt = performance.now();
    this.open = false;
    /** How it opened, once that was told. @type {Events["open"] | null} */
    this.told = null;
    this.peer = new RTCPeerConnection({ iceServers });
    this.game = this.peer.createDataChannel(GAME_LABEL);
    this.game.binaryType = "arraybuffer";
    this.ping = this.peer.createDataChannel(PING_LABEL, { ordered: false, maxRetransmits: 0 });
    this.feed = this.peer.createDataChannel(FEED_LABEL);
    this.peer.addEventListener("icecandidate", ({ candidate }) => {
      if (!candidate?.candidate) return;
      this.hears.signal({ type: "ice-candidate", candidate: candidate.toJSON(), ufrag: this.ufrag });
    });
    this.peer.addEventListener("iceconnectionstatechange", () => this.#iceChanged());
    this.peer.addEventListener("connectionstatechange", () => {
      if (this.peer.connectionState === "failed") this.#end(this.#pathError());
    });
    this.game.addEventListener("open", () => this.#opened());
    for (const channel of [this.game, this.ping, this.feed]) channel.addEventListener("message", () => this.#heard());
    this.game.addEventListener("message", ({ data }) => this.hears.message(data));
    this.game.addEventListener("close", () =>
      this.#end(new P2PError("channel", "channel_closed", "The host closed the data channel.")),
    );
    this.ping.addEventListener("message", ({ data }) => this.#pingHeard(parsed(data) ?? {}));
    this.feed.addEventListener("message", ({ data }) => this.#feedHeard(data));
  }

  get elapsedMs() {
    return Math.round(performance.now() - this.beganAt);
  }

  /** Of its offer, in frames that refuse it. */
  get id() {
    return `offer-${this.#number}`;
  }

  get openForMs() {
    return performance.now() - this.#openedAt;
  }

  /** ICE's name of our offer, by which an answer is known as the one to it. */
  get ufrag() {
    return this.peer.localDescription?.sdp.match(/^a=ice-ufrag:(\S+)/m)?.[1];
  }

  async offer() {
    this.#within(ANSWER_WITHIN_MS, "offer", "offer_impossible", "This browser made no offer in time.");
    try {
      await this.peer.setLocalDescription();
    } catch (error) {
      return this.#end(new P2PError("offer", "offer_impossible", `This browser makes no offer: ${error}`));
    }
    if (this.#ended) return;
    this.hears.signal({ type: "offer", id: this.id, sdp: this.peer.localDescription?.toJSON(), ufrag: this.ufrag });
    this.#within(ANSWER_WITHIN_MS, "answer", "no_answer", "The host did not answer.");
  }

  /** @param {{sdp: RTCSessionDescriptionInit | string, ufrag?: string}} answer a host of an older release names no offer */
  async answer({ sdp, ufrag }) {
    if (ufrag !== undefined && ufrag !== this.ufrag) return;
    if (this.#ended || this.peer.signalingState !== "have-local-offer") return;
    this.#within(CHANNEL_WITHIN_MS, "ice", "ice_failed", "No path to the host was found in time.");
    try {
      await this.peer.setRemoteDescription(typeof sdp === "string" ? { type: "answer", sdp } : sdp);
      this.#remoteSet = true;
      this.hears.answered(this.elapsedMs);
      for (const candidate of this.#early) await this.#add(candidate);
    } catch (error) {
      this.#end(new P2PError("answer", "answer_unusable", `The host's answer cannot be used: ${error}`));
    }
  }

  /** @param {{candidate: RTCIceCandidateInit | string | null, ufrag?: string}} told */
  async candidate({ candidate, ufrag }) {
    if (candidate === null || (ufrag !== undefined && ufrag !== this.ufrag)) return;
    const init = typeof candidate === "string" ? { candidate, sdpMid: "0" } : candidate;
    if (this.#remoteSet) await this.#add(init);
    else this.#early.push(init);
  }

  /** Whether messages reach the host, as far as is known. */
  get carries() {
    return this.open && this.game.readyState === "open" && !this.#silent;
  }

  /** Hear the host's last answers, and close. */
  part() {
    clearInterval(this.#pinging);
    clearTimeout(this.#asking);
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.close(), LAST_ANSWERS_MS);
  }

  /** Have the host tell of all NPCs again. */
  wantNpcs() {
    if (this.feed.readyState === "open") this.feed.send(JSON.stringify({ wanted: true }));
  }

  /** The offer reached nobody, or what else an error frame says. @param {P2PError} error */
  fail(error) {
    this.#end(error);
  }

  close() {
    this.#ended = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#recovery);
    clearInterval(this.#pinging);
    clearTimeout(this.#asking);
    this.peer.close();
  }

  /** @returns {Promise<string | null>} host, srflx, prflx or relay; relay if either side is relayed */
  async candidateType() {
    const stats = await this.peer.getStats();
    for (const report of stats.values()) {
      if (report.type !== "transport" || !report.selectedCandidatePairId) continue;
      const pair = stats.get(report.selectedCandidatePairId);
      const types = [pair?.localCandidateId, pair?.remoteCandidateId].map((id) => stats.get(id)?.candidateType);
      return types.includes("relay") ? "relay" : (types[0] ?? null);
    }
    return null;
  }

  /** @param {RTCIceCandidateInit} candidate */
  async #add(candidate) {
    try {
      await this.peer.addIceCandidate(candidate);
    } catch {
      // One that this browser cannot use; others may do.
    }
  }

  /**
   * @param {number} ms
   * @param {Stage} stage
   * @param {string} code
   * @param {string} words
   */
  #within(ms, stage, code, words) {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#end(new P2PError(stage, code, words)), ms);
  }

  async #opened() {
    clearTimeout(this.#deadline);
    this.open = true;
    this.#openedAt = performance.now();
    this.#measuredAt = this.#openedAt + MEASURED_AFTER_MS;
    const elapsedMs = this.elapsedMs;
    const candidateType = await this.candidateType().catch(() => null);
    if (this.#ended) return;
    this.told = { elapsedMs, candidateType };
    this.hears.opened(this.told);
    this.#pinging = setInterval(() => this.#sendPing(), PING_EVERY_MS);
    this.#sendPing();
  }

  #iceChanged() {
    const state = this.peer.iceConnectionState;
    this.hears.ice(state);
    clearTimeout(this.#recovery);
    if (state === "failed") this.#end(this.#pathError());
    if (state === "disconnected") this.#recovery = setTimeout(() => this.#end(this.#pathError()), RECOVER_WITHIN_MS);
  }

  #pathError() {
    return this.open
      ? new P2PError("channel", "connection_lost", "The connection to the host was lost.")
      : new P2PError("ice", "ice_failed", "No network path to the host (ICE failed). A relay (TURN) server may be missing.");
  }

  #sendPing() {
    const now = performance.now();
    for (const [number, sentAt] of this.#pings) {
      if (now - sentAt > PING_LOST_AFTER_MS) {
        this.#pings.delete(number);
        this.#fate(false);
      }
    }
    if (this.ping.readyState !== "open") return;
    this.#lastPing += 1;
    this.#pings.set(this.#lastPing, now);
    this.ping.send(JSON.stringify({ ping: this.#lastPing }));
    // Only a host that has answered before is missed: an older one may know no pings.
    if (!this.#smoothedMs || this.#silent) return;
    this.#asking ??= setTimeout(() => this.#askAgain(0), Math.max(LATE_AFTER_MS, LATE_AFTER_TRIPS * this.#smoothedMs));
  }

  /**
   * Nothing came since a ping. By turns, not by the clock alone: after a page stood still, what came meanwhile is read
   * between them. These pings are no measure: each gap would count fourfold.
   * @param {number} asked
   */
  #askAgain(asked) {
    if (asked === ASK_AGAIN) {
      this.#silent = true;
      return this.hears.silent(true);
    }
    if (this.ping.readyState === "open") this.ping.send(JSON.stringify({ ping: 0 }));
    this.#asking = setTimeout(() => this.#askAgain(asked + 1), ASK_EVERY_MS);
  }

  #heard() {
    clearTimeout(this.#asking);
    this.#asking = undefined;
    if (!this.#silent || this.#ended) return;
    this.#silent = false;
    this.hears.silent(false);
  }

  /** @param {{ping?: number, pong?: number}} heard */
  #pingHeard(heard) {
    if (heard.ping !== undefined) this.ping.send(JSON.stringify({ pong: heard.ping }));
    const sentAt = heard.pong === undefined ? undefined : this.#pings.get(heard.pong);
    if (heard.pong === undefined || sentAt === undefined) return;
    this.#pings.delete(heard.pong);
    this.#fate(true);
    const ms = performance.now() - sentAt;
    this.#smoothedMs = this.#smoothedMs ? this.#smoothedMs * 0.875 + ms * 0.125 : ms;
    const lost = this.#fates.filter((answered) => !answered).length;
    const trip = { ms, smoothedMs: this.#smoothedMs, lossPercent: (100 * lost) / this.#fates.length };
    this.hears.roundtrip(trip);
    if (performance.now() < this.#measuredAt) return;
    this.#measuredAt = performance.now() + MEASURED_EVERY_MS;
    this.hears.measured(trip);
  }

  /** @param {string} data */
  #feedHeard(data) {
    let told = null;
    try {
      told = JSON.parse(data);
    } catch {
      // A host that knows no feed takes this for one more channel of its game.
    }
    if (told?.type === "npc-state") this.hears.feed(told);
  }

  /** @param {boolean} answered */
  #fate(answered) {
    this.#fates.push(answered);
    if (this.#fates.length > PING_WINDOW) this.#fates.shift();
  }

  /** @param {P2PError} error */
  #end(error) {
    if (this.#ended) return;
    this.close();
    this.hears.ended(error);
  }
}

/** A player: one signaling connection, at most one session, one host link, or two while it goes from host to host. */
export class P2PClient {
  /** @type {Signaling | null} */ #signaling = null;
  /** @type {Pass | null} */ #pass = null;
  /** To the session's host. @type {HostLink | null} */ #link = null;
  /** To the host before, which carries messages until the other is open. @type {HostLink | null} */ #former = null;
  /** To a host that nothing is sent to any more, for its last answers. @type {HostLink | null} */ #parting = null;
  /** To the host that stands by. @type {HostLink | null} */ #ahead = null;
  #aheadAttempt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #aheadTimer;
  /** @type {Map<string, Set<(detail: any) => void>>} */ #listeners = new Map();
  /** @type {{frame: {type: string}, id: string, traceparent: string, resolve: (session: Session) => void, reject: (error: P2PError) => void} | null} */
  #wish = null;
  /** @type {RTCIceServer[]} */ #iceServers = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #seatDeadline;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #hostDeadline;
  /** @type {(() => void) | undefined} */ #stopConnecting;
  #attempt = 0;
  /** Since when the host that we played with is gone. @type {number | null} */
  #goneSince = null;
  #wishes = 0;
  #npcs = new NpcFold();

  constructor() {
    this.peerId = "";
    /** The session we have a seat in. @type {Session | null} */
    this.session = null;
  }

  /** Whether messages can be sent. */
  get open() {
    return this.#carrier?.game.readyState === "open";
  }

  /** The link that messages are sent on. */
  get #carrier() {
    return this.#former ?? this.#link;
  }

  /**
   * Hear of an event; gives a function that ends it.
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(detail: Events[Name]) => void} listener
   * @returns {() => void}
   */
  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * Open the signaling connection. Once it stood, it comes back by itself whenever it is lost.
   * @param {string} url a gateway's base URL, such as `location.origin`
   * @param {{peerId?: string, token?: Token, withinMs?: number}} [options] `peerId` is whom the token was made for
   * @returns {Promise<void>} rejects with a P2PError of stage `signaling`; with `closed` when `close`, or another
   *   `connect`, came first
   */
  connect(url, { peerId = `player-${randomHex(4)}`, token, withinMs = CONNECT_WITHIN_MS } = {}) {
    this.close();
    this.peerId = peerId;
    const socketUrl = new URL(SIGNALING_PATH, url);
    socketUrl.protocol = socketUrl.protocol.replace("http", "ws");
    socketUrl.searchParams.set("peer_id", peerId);
    // A pair that was renewed is known by what was given first.
    const pass = this.#pass?.given === token && this.#pass ? this.#pass : new Pass(token, new URL(url));
    this.#pass = pass;
    return new Promise((resolve, reject) => {
      /** @param {P2PError} error */
      const refuse = (error) => {
        clearTimeout(deadline);
        this.#fail(error);
        reject(error);
      };
      this.#stopConnecting = () => {
        clearTimeout(deadline);
        reject(new P2PError("signaling", "closed", "Closed before the connection stood."));
      };
      const deadline = setTimeout(() => {
        signaling.close();
        refuse(new P2PError("signaling", "unreachable", `The gateway at ${socketUrl.host} cannot be reached.`));
      }, withinMs);
      const signaling = new Signaling(socketUrl, pass, {
        state: (state) => this.#tell("signaling", state),
        frame: (frame) => this.#heard(frame),
        refused: refuse,
        open: () => {
          clearTimeout(deadline);
          resolve();
          this.#askForSeat();
        },
      });
      this.#signaling = signaling;
    });
  }

  /**
   * Enter a zone: a session of it that has room, or a new one.
   * @param {string} zoneId
   * @returns {Promise<Session>} once the data channel to the host is open, or the session is on the central server
   *   (`session.fallback`); rejects with a P2PError that says what failed
   */
  enter(zoneId) {
    return this.#want({ type: "enter", zone_id: zoneId });
  }

  /**
   * Join one particular session.
   * @param {string} sessionId
   * @returns {Promise<Session>} as `enter`
   */
  join(sessionId) {
    return this.#want({ type: "join", session_id: sessionId });
  }

  /**
   * Send to the host, at most 64 KiB at once.
   * @param {string | ArrayBuffer | ArrayBufferView<ArrayBuffer>} data
   */
  send(data) {
    const carrier = this.#carrier;
    if (carrier?.game.readyState !== "open") {
      throw new P2PError("channel", "channel_closed", "There is no open data channel to a host.");
    }
    // @ts-expect-error -- one of its overloads takes it, whichever it is
    carrier.game.send(data);
  }

  /** Give the seat up; the signaling connection stays. */
  leave() {
    this.#signaling?.send({ type: "leave", traceparent: this.#wish?.traceparent });
    this.#forget();
  }

  /** End everything. */
  close() {
    this.#forget();
    this.#signaling?.close();
    this.#signaling = null;
    this.#stopConnecting?.();
  }

  /** @param {{type: string, zone_id?: string, session_id?: string}} frame @returns {Promise<Session>} */
  #want(frame) {
    this.#forget();
    if (!this.#signaling || this.#signaling.over) {
      return Promise.reject(new P2PError("signaling", "not_connected", "There is no signaling connection: connect first."));
    }
    return new Promise((resolve, reject) => {
      this.#wishes += 1;
      this.#wish = { frame, id: `wish-${this.#wishes}`, traceparent: newTraceparent(), resolve, reject };
      this.#seatDeadline = setTimeout(
        () => this.#fail(new P2PError("signaling", "unreachable", "The gateway cannot be reached.")),
        CONNECT_WITHIN_MS,
      );
      this.#askForSeat();
    });
  }

  #askForSeat() {
    if (!this.#wish || !this.#signaling?.connected) return;
    // After a gap in signaling it is the same seat that we want, not any in the zone.
    const frame = this.session ? { type: "join", session_id: this.session.sessionId } : this.#wish.frame;
    this.#signaling.send({ ...frame, id: this.#wish.id, traceparent: this.#wish.traceparent });
    clearTimeout(this.#seatDeadline);
    this.#seatDeadline = setTimeout(
      () => this.#fail(new P2PError("placement", "no_reply", "The coordinator did not say who hosts this zone.")),
      SEAT_WITHIN_MS,
    );
  }

  #forget() {
    clearTimeout(this.#seatDeadline);
    this.#letHostGo();
    this.#letStandbyGo();
    this.#npcs = new NpcFold();
    this.session = null;
    const wish = this.#wish;
    this.#wish = null;
    wish?.reject(new P2PError("placement", "left", "Left before the connection stood."));
  }

  /** @param {HostLink | null} staying the link that carries messages until there is another */
  #letHostGo(staying = null) {
    clearTimeout(this.#retry);
    clearTimeout(this.#hostDeadline);
    for (const link of [this.#link, this.#former, this.#parting]) if (link !== staying) link?.close();
    this.#link = this.#parting = null;
    this.#former = staying;
    this.#attempt = 0;
    this.#goneSince = null;
  }

  /** @param {any} frame */
  #heard(frame) {
    switch (frame.type) {
      case "session-joined":
        return this.#seated(frame);
      case "answer":
        return void this.#linkTo(frame)?.answer(frame);
      case "ice-candidate":
        return void this.#linkTo(frame)?.candidate(frame);
      case "peer-joined":
        return this.#tell("peer-joined", { peerId: frame.peer_id });
      case "peer-left":
        return this.#tell("peer-left", { peerId: frame.peer_id, reason: frame.reason });
      case "session-fallback":
        return this.#fellBack(frame);
      case "ice-servers":
        return this.#renewed(frame);
      case "host-migrated":
        return this.#migrated(frame);
      case "session-standby":
        return this.#standbyNamed(frame);
      case "session-left":
        return this.#putOut(frame);
      case "session-ended":
        if (this.session?.sessionId !== frame.session_id) return;
        this.#forget();
        return this.#tell("ended", { reason: frame.reason });
      case "error":
        return this.#refused(frame);
    }
  }

  /** The link to whoever sent a signal, the host or its standby: other members may send what they like. @param {any} frame */
  #linkTo(frame) {
    const { session } = this;
    if (session === null || (frame.session_id ?? session.sessionId) !== session.sessionId) return null;
    if (frame.from === session.hostPeerId) return this.#link;
    return frame.from === session.standby?.hostPeerId ? this.#ahead : null;
  }

  /** Somebody else has given our seat up, or moved us. @param {{session_id: string, reason?: string}} frame */
  #putOut({ session_id: sessionId, reason = "left" }) {
    if (this.session?.sessionId !== sessionId) return; // we have left ourselves
    const played = this.open || this.session.fallback !== null;
    this.session = null;
    if (!played) return this.#fail(new P2PError("placement", "put_out", `The seat was given up: ${reason}.`));
    this.#forget();
    this.#tell("ended", { reason });
  }

  /** @param {any} frame */
  #seated(frame) {
    if (!this.#wish || (frame.id !== undefined && frame.id !== this.#wish.id)) return;
    clearTimeout(this.#seatDeadline);
    const before = this.session;
    const stayed = before?.sessionId === frame.session_id;
    const same = stayed && before?.epoch === (frame.epoch ?? null);
    if (!same) this.#letHostGo(stayed && this.#carrier?.carries ? this.#carrier : null);
    this.session = {
      sessionId: frame.session_id,
      hostId: frame.host_id ?? null,
      hostPeerId: frame.host_peer_id ?? null,
      epoch: frame.epoch ?? null,
      peers: frame.peers,
      traceparent: this.#wish.traceparent,
      standby: standbyOf(frame),
      // A session that returns from the central server does so in a new epoch.
      fallback: (same && before?.fallback) || null,
    };
    this.#take(frame.ice_servers ?? []);
    if (this.session.standby?.hostPeerId !== before?.standby?.hostPeerId) this.#letStandbyGo();
    this.#connectAhead();
    if (same && (this.open || this.session.fallback)) return; // signaling came back; all else is as it was
    this.#tell("session", this.session);
    if (this.session.hostPeerId) return this.#connectToHost();
    this.#hostDeadline = setTimeout(
      () => this.#fail(new P2PError("placement", "no_host", "This session has no host to connect to.")),
      HOST_NAMED_WITHIN_MS,
    );
  }

  /** @param {{urls: string[], username?: string, credential?: string}[]} iceServers */
  #take(iceServers) {
    this.#iceServers = iceServers.map(({ urls, username, credential }) => ({ urls, ...(username && { username, credential }) }));
  }

  /** For the next connection: the credentials of those told before end soon. @param {any} frame */
  #renewed(frame) {
    if (this.session?.sessionId === frame.session_id) this.#take(frame.ice_servers);
  }

  /** @param {{session_id: string, reason: string, endpoint?: string | null}} frame */
  #fellBack(frame) {
    if (this.session?.sessionId !== frame.session_id) return;
    this.#letHostGo();
    this.#letStandbyGo();
    const fallback = { reason: frame.reason, endpoint: frame.endpoint ?? null };
    const known = this.session.fallback;
    this.session = { ...this.session, fallback };
    this.#wish?.resolve(this.session);
    if (known?.reason !== fallback.reason || known.endpoint !== fallback.endpoint) this.#tell("fallback", fallback);
  }

  /**
   * @param {{session_id: string, host_id: string, host_peer_id: string, epoch: number, reason?: string,
   *   ice_servers?: {urls: string[], username?: string, credential?: string}[]}} frame
   */
  #migrated(frame) {
    if (this.session?.sessionId !== frame.session_id || frame.epoch <= (this.session.epoch ?? 0)) return;
    const planned = frame.reason === undefined || PLANNED_MOVES.includes(frame.reason); // an older gateway says nothing
    this.#letHostGo(planned && this.#carrier?.carries ? this.#carrier : null);
    const { host_id: hostId, host_peer_id: hostPeerId, epoch } = frame;
    const tookOver = hostPeerId === this.session.standby?.hostPeerId;
    const standby = tookOver ? null : this.session.standby;
    this.session = { ...this.session, hostId, hostPeerId, epoch, standby, fallback: null };
    if (frame.ice_servers) this.#take(frame.ice_servers);
    this.#tell("migrated", { hostId, epoch });
    if (!tookOver || !this.#ahead) return this.#connectToHost();
    this.#link = this.#ahead; // where it is not open yet, it will be so sooner than another
    this.#ahead = null;
    this.#letStandbyGo();
    this.#npcs.expectFull();
    if (this.#link.told) this.#hostReached(this.#link.told, this.session);
  }

  /** @param {{session_id: string, epoch: number, standby?: {host_id: string, host_peer_id: string}}} frame */
  #standbyNamed(frame) {
    if (this.session?.sessionId !== frame.session_id || frame.epoch < (this.session.epoch ?? 0)) return;
    const standby = standbyOf(frame);
    if (standby?.hostPeerId === this.session.standby?.hostPeerId) return;
    this.#letStandbyGo();
    this.session = { ...this.session, standby };
    this.#connectAhead();
  }

  #letStandbyGo() {
    clearTimeout(this.#aheadTimer);
    this.#ahead?.close();
    this.#ahead = null;
    this.#aheadAttempt = 0;
  }

  /** Connect to the standby, some time after the host is connected: nothing waits for it. */
  #connectAhead(inMs = AHEAD_AFTER_MS) {
    clearTimeout(this.#aheadTimer);
    if (!this.session?.standby || this.#ahead || this.#aheadAttempt >= OFFER_ATTEMPTS) return;
    this.#aheadTimer = setTimeout(() => {
      if (!this.#link?.open || !this.session?.standby || this.session.fallback) return;
      const { hostPeerId } = this.session.standby;
      /** @type {HostLink} */ let link;
      const hears = this.#linkHears(hostPeerId, this.session.sessionId, this.session.traceparent, this.session, () => link);
      this.#ahead = link = new HostLink(this.#iceServers, hears);
      link.offer();
    }, inMs);
  }

  /**
   * @param {any} told
   * @param {HostLink} link
   */
  #npcsTold(told, link) {
    if (link !== this.#link && link !== this.#former) return;
    const news = this.#npcs.hear(told);
    if (news === "missed") link.wantNpcs();
    else if (news) this.#tell("npcs", news);
  }

  #connectToHost() {
    const { session } = this;
    if (!session?.hostPeerId) return;
    const { hostPeerId, sessionId, traceparent } = session;
    this.#link?.close();
    if (!this.#former) this.#npcs.expectFull(); // else what the next host tells first is full, and the newest
    this.#tell("offer", { to: hostPeerId, attempt: this.#attempt + 1 });
    /** @type {HostLink} */ let link;
    const hears = this.#linkHears(hostPeerId, sessionId, traceparent, session, () => link);
    try {
      link = new HostLink(this.#iceServers, hears);
    } catch (error) {
      return this.#fail(new P2PError("offer", "no_webrtc", `This browser cannot connect to a host: ${error}`));
    }
    this.#link = link;
    link.offer();
  }

  /**
   * @param {string} hostPeerId
   * @param {string} sessionId
   * @param {string} traceparent
   * @param {Session} session
   * @param {() => HostLink} link
   */
  #linkHears(hostPeerId, sessionId, traceparent, session, link) {
    const isPresent = () => link() === this.#link;
    return {
      signal: (/** @type {object} */ frame) =>
        this.#signaling?.send({ ...frame, to: hostPeerId, session_id: sessionId, traceparent }),
      answered: (/** @type {number} */ elapsedMs) => void (isPresent() && this.#tell("answer", { elapsedMs })),
      ice: (/** @type {RTCIceConnectionState} */ state) => void (isPresent() && this.#tell("ice", { state })),
      message: (/** @type {string | ArrayBuffer} */ data) => void (link() !== this.#ahead && this.#tell("message", data)),
      roundtrip: (/** @type {Events["roundtrip"]} */ trip) =>
        void (link() === this.#carrier && this.#tell("roundtrip", trip)),
      measured: (/** @type {Events["roundtrip"]} */ trip) =>
        void (isPresent() && this.#pass?.measured(sessionId, this.peerId, trip)),
      feed: (/** @type {any} */ told) => this.#npcsTold(told, link()),
      opened: (/** @type {Events["open"]} */ open) => {
        this.#report("connected", open.elapsedMs, open.candidateType, hostPeerId);
        if (isPresent()) this.#hostReached(open, session);
      },
      silent: (/** @type {boolean} */ silent) => {
        if (isPresent()) this.#report(silent ? "disconnected" : "connected", silent ? link().elapsedMs : null, null);
        else if (silent && link() !== this.#ahead) this.#formerGone(link());
      },
      ended: (/** @type {P2PError} */ error) => {
        if (isPresent()) this.#linkEnded(error, link());
        else if (link() === this.#ahead) this.#aheadEnded(error, link(), hostPeerId);
        else this.#formerGone(link());
      },
    };
  }

  /** From now on it is the one that messages go to. @param {Events["open"]} open @param {Session} session */
  #hostReached(open, session) {
    this.#former?.part();
    this.#parting = this.#former;
    this.#former = null;
    this.#tell("open", open);
    this.#wish?.resolve(session);
    this.#connectAhead();
  }

  /**
   * @param {P2PError} error
   * @param {HostLink} link
   * @param {string} hostPeerId
   */
  #aheadEnded(error, link, hostPeerId) {
    if (error.stage === "ice") this.#report("failed", link.elapsedMs, null, hostPeerId);
    this.#ahead = null;
    this.#aheadAttempt += 1;
    this.#connectAhead(backoffMs(this.#aheadAttempt));
  }

  /** The host before carries nothing any more, earlier than was planned. @param {HostLink} link */
  #formerGone(link) {
    link.close();
    if (link === this.#former) this.#former = null;
  }

  /**
   * @param {P2PError} error
   * @param {HostLink} link
   */
  #linkEnded(error, link) {
    if (error.stage === "ice") this.#report("failed", link.elapsedMs, null);
    if (link.open) {
      this.#report("disconnected", link.elapsedMs, null);
      if (link.openForMs > STEADY_AFTER_MS) this.#attempt = 0;
      if (link.openForMs > STEADY_AFTER_MS || this.#goneSince === null) this.#goneSince = performance.now();
    }
    if (this.#former) this.#goneSince ??= performance.now();
    if (!this.#mayComeBack(error)) return this.#fail(error);
    const retryInMs = backoffMs(Math.min(this.#attempt, MOST_BACKOFFS));
    this.#attempt += 1;
    this.#tell("lost", { error, retryInMs });
    this.#retry = setTimeout(() => this.#connectToHost(), retryInMs);
  }

  /**
   * Whether to connect again. Of a host that we played with we wait to hear who is next, seat kept, and so we do while
   * the one before serves us; one that was never reached is given up sooner: a path that ICE did not find is not there
   * half a second later.
   * @param {P2PError} error
   */
  #mayComeBack(error) {
    if (this.#goneSince !== null) return performance.now() - this.#goneSince < HOST_MOVES_WITHIN_MS;
    return error.stage !== "ice" && this.#attempt + 1 < OFFER_ATTEMPTS;
  }

  /**
   * Tell the coordinator how connecting came out: the end of the join's trace, and a host's measured quality.
   * @param {"connected" | "failed" | "disconnected"} state
   * @param {number | null} elapsedMs null for a connection that did not come about now
   * @param {string | null} candidateType
   * @param {string | null} [hostPeerId] the session's host, unless it is said
   */
  #report(state, elapsedMs, candidateType, hostPeerId = this.session?.hostPeerId) {
    if (!this.session) return;
    const { sessionId, traceparent } = this.session;
    const outcome = { state, ...(elapsedMs !== null && { elapsed_ms: elapsedMs }), ...(candidateType && { candidate_type: candidateType }) };
    this.#signaling?.send({ type: "ice-result", to: hostPeerId, session_id: sessionId, traceparent, ...outcome });
  }

  /** @param {{message: string, code: string, in_reply_to?: string, id?: string}} frame */
  #refused({ message, code, in_reply_to: about, id }) {
    if (about === "offer") {
      const link = [this.#link, this.#ahead].find((one) => id === undefined || one?.id === id);
      return link?.fail(new P2PError("offer", code, `The host cannot be reached through signaling: ${message}.`));
    }
    if (id !== undefined && id !== this.#wish?.id) return; // of what we want no longer
    if (about === "join" && this.session && this.#wish?.frame.type === "enter") {
      // The session ended while we could not hear it; the zone may have another.
      this.session = null;
      this.#letHostGo();
      this.#askForSeat();
    } else if (about === "enter" || about === "join") {
      this.#fail(new P2PError("placement", code, message));
    }
  }

  /** @param {P2PError} error */
  #fail(error) {
    if (this.session) this.#signaling?.send({ type: "leave", traceparent: this.session.traceparent });
    this.#wish?.reject(error);
    this.#wish = null;
    this.#forget();
    this.#tell("failed", error);
  }

  /**
   * An error in a page's listener is the page's: what is under way here goes on.
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} detail
   */
  #tell(name, detail) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        queueMicrotask(() => {
          throw error; // as one in a listener of the browser's own events is told
        });
      }
    }
  }
}
