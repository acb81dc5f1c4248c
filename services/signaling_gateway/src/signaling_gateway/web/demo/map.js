/**
 * The zone as a map on which NPCs and players walk: between two updates each goes its way in the time that updates take
 * to come.
 *
 * The ground (grid, trails, weather, night) is painted on a canvas; each NPC is a button above it, to be hovered,
 * tapped, or reached with the keyboard.
 */

const FIRST_INTERVAL_MS = 1_000;
const SHORTEST_INTERVAL_MS = 150;
const LONGEST_INTERVAL_MS = 6_000; // a zone's usual interval is 5 s; after a longer silence nobody should crawl
const URGENT_MS = 250;
const FADE_MS = 400;
const LEAST_TILES = 16;
const MARGIN_TILES = 3;
const VIEW_FOLLOWS_MS = 700;
const TRAIL_POINTS = 8;
const STEP_MS = 300; // a player's
const STEP_TILES = 2; // with an arrow key
const ARROWS = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const HUES = [262, 174, 20, 212, 330, 48, 140];

const NIGHT = /night|midnight/i;
const TWILIGHT = /dusk|dawn|evening|sunset|sunrise/i;

/** The same word is the same colour in every browser. @param {string} word */
function hueOf(word) {
  let sum = 0;
  for (const letter of word) sum = (sum * 31 + letter.codePointAt(0)) >>> 0;
  return HUES[sum % HUES.length];
}

/** Its key among the walkers: a player may be called as an NPC is. @param {string} player */
const ofPlayer = (player) => `player ${player}`;

const between = (from, to, share) => from + (to - from) * share;

/** One NPC on its way from where it was drawn last to where it was told to be. */
class Walker {
  /** @param {import("/sdk/p2p.js").Npc} npc @param {number} now */
  constructor(npc, now) {
    this.from = this.to = { x: npc.x, y: npc.y };
    this.beganAt = now;
    this.takesMs = 1;
    this.trail = [];
    this.goneAt = 0;
    /** @type {string | null} */ this.player = null;
    this.place = "";
    this.button = Object.assign(document.createElement("button"), { type: "button", className: "npc" });
    this.button.append(document.createElement("i"), document.createElement("span"));
    this.button.dataset.npc = npc.npc_id;
    this.describe(npc);
  }

  /** @param {import("/sdk/p2p.js").Npc} npc */
  describe(npc) {
    const name = npc.name ?? npc.npc_id;
    const [mark, label] = this.button.children;
    mark.textContent = [...name][0].toUpperCase();
    const about = [npc.npc_class, npc.level && `level ${npc.level}`, npc.status].filter(Boolean).join(" · ");
    label.replaceChildren(name, Object.assign(document.createElement("small"), { textContent: about }));
    this.button.ariaLabel = about ? `${name}, ${about}` : name;
    this.button.dataset.status = npc.status ?? "";
    this.hue = hueOf(npc.npc_class ?? npc.npc_id);
    this.button.style.setProperty("--hue", String(this.hue));
  }

  /** @param {number} x @param {number} y @param {number} now @param {number} takesMs */
  walkTo(x, y, now, takesMs) {
    this.from = this.at(now);
    this.to = { x, y };
    this.beganAt = now;
    this.takesMs = takesMs;
    if (this.from.x === x && this.from.y === y) return;
    this.trail.push(this.from);
    if (this.trail.length > TRAIL_POINTS) this.trail.shift();
  }

  /** @param {number} now */
  at(now) {
    const share = Math.min(1, (now - this.beganAt) / this.takesMs);
    return { x: between(this.from.x, this.to.x, share), y: between(this.from.y, this.to.y, share) };
  }
}

export class ZoneMap {
  /** @type {Map<string, Walker>} */ #walkers = new Map();
  /** @type {{x: number, y: number, width: number, height: number} | null} */ #bounds = null;
  #view = { x: 0, y: 0, width: LEAST_TILES, height: LEAST_TILES };
  #drops = Array.from({ length: 90 }, () => [Math.random(), Math.random(), 0.6 + Math.random() * 0.4]);
  #sky = { weather: "", night: 0 };
  #toldAt = 0;
  #paintedAt = 0;
  #intervalMs = FIRST_INTERVAL_MS;
  #me = "";
  #still = matchMedia("(prefers-reduced-motion: reduce)");

  /**
   * @param {HTMLElement} element
   * @param {(npcId: string) => void} onPoke
   * @param {(x: number, y: number) => void} onWalk in tiles
   */
  constructor(element, onPoke, onWalk) {
    this.element = element;
    this.onWalk = onWalk;
    this.canvas = element.querySelector("canvas");
    this.brush = this.canvas.getContext("2d");
    element.addEventListener("click", ({ target }) => {
      const button = target.closest?.(".npc");
      if (button?.dataset.npc) onPoke(button.dataset.npc);
    });
    this.canvas.addEventListener("click", ({ offsetX, offsetY }) => {
      const { x, y } = this.#onGround(offsetX, offsetY);
      this.#walk(x, y);
    });
    element.addEventListener("keydown", (event) => {
      const direction = ARROWS[event.key];
      const me = this.#walkers.get(this.#me);
      if (!direction || !me) return;
      event.preventDefault();
      this.#walk(me.to.x + direction[0] * STEP_TILES, me.to.y + direction[1] * STEP_TILES);
    });
    element.addEventListener("animationend", ({ animationName, target }) => {
      if (animationName === "tell") target.closest(".npc").classList.remove("stirred");
    });
    requestAnimationFrame(this.#paint);
  }

  /** Take in what was told of the NPCs. @param {import("/sdk/p2p.js").Npcs} told */
  show({ npcs, changed, removed, environment, traceparent, full }) {
    const now = performance.now();
    const urgent = traceparent !== null;
    if (!urgent) this.#measureInterval(now);
    for (const id of removed) this.#remove(id, now);
    for (const id of changed) this.#move(npcs.get(id), now, urgent ? URGENT_MS : this.#intervalMs);
    const time = String(environment?.time_of_day ?? "");
    this.#sky.weather = String(environment?.weather ?? "");
    this.#sky.night = NIGHT.test(time) ? 1 : TWILIGHT.test(time) ? 0.5 : 0;
    this.#fit(full);
  }

  /**
   * Take in where the players stand. @param {Record<string, [number, number]>} places by player, in tiles
   * @param {string} me
   */
  showPlayers(places, me) {
    const now = performance.now();
    this.#me = ofPlayer(me);
    for (const [player, [x, y]] of Object.entries(places)) this.#stand(player, x, y, now);
    for (const [key, { player }] of this.#walkers) if (player && !(player in places)) this.#remove(key, now);
  }

  clear() {
    this.canvas.width = 0;
    for (const { button } of this.#walkers.values()) button.remove();
    this.#walkers.clear();
    this.#bounds = null;
    this.#toldAt = 0;
    this.#intervalMs = FIRST_INTERVAL_MS;
    this.#sky = { weather: "", night: 0 };
  }

  /** Something urgent happened to it. @param {string} id */
  ripple(id) {
    const button = this.#walkers.get(id)?.button;
    if (!button) return;
    button.classList.remove("stirred");
    void button.offsetWidth; // so that the animation begins anew
    button.classList.add("stirred");
  }

  /** @param {number} now */
  #measureInterval(now) {
    const passed = now - this.#toldAt;
    if (this.#toldAt && passed > SHORTEST_INTERVAL_MS) {
      this.#intervalMs = Math.min(LONGEST_INTERVAL_MS, between(this.#intervalMs, passed, 0.5));
    }
    this.#toldAt = now;
  }

  /** @param {import("/sdk/p2p.js").Npc} npc @param {number} now @param {number} takesMs */
  #move(npc, now, takesMs) {
    const known = this.#walkers.get(npc.npc_id);
    if (npc.x == null || npc.y == null) return known && this.#remove(npc.npc_id, now);
    if (known) {
      known.goneAt = 0;
      known.button.classList.remove("gone");
      known.describe(npc);
      return known.walkTo(npc.x, npc.y, now, this.#still.matches ? 1 : takesMs);
    }
    const walker = new Walker(npc, now);
    this.#walkers.set(npc.npc_id, walker);
    this.element.append(walker.button);
  }

  /** @param {string} player @param {number} x @param {number} y @param {number} now */
  #stand(player, x, y, now) {
    const key = ofPlayer(player);
    const known = this.#walkers.get(key);
    if (known && !known.goneAt && known.to.x === x && known.to.y === y) return;
    this.#move({ npc_id: key, name: player, npc_class: key === this.#me ? "you" : "player", x, y }, now, STEP_MS);
    const walker = this.#walkers.get(key);
    walker.player = player;
    walker.button.classList.add("player");
    walker.button.classList.toggle("me", key === this.#me);
    delete walker.button.dataset.npc;
    walker.button.dataset.player = player;
    this.#fit(false);
  }

  /** Shown when the host says so: it may be as far as the zone reaches. @param {number} x @param {number} y */
  #walk(x, y) {
    if (this.#walkers.has(this.#me)) this.onWalk(Math.round(x * 10) / 10, Math.round(y * 10) / 10);
  }

  /** Not at once: a long full message comes in parts. @param {string} id @param {number} now */
  #remove(id, now) {
    const walker = this.#walkers.get(id);
    if (!walker || walker.goneAt) return;
    walker.goneAt = now;
    walker.button.classList.add("gone");
  }

  /** Have everybody in view; closer than before only now and then. @param {boolean} anew */
  #fit(anew) {
    const places = [...this.#walkers.values()].flatMap((walker) => (walker.goneAt ? [] : [walker.from, walker.to]));
    if (!places.length) return;
    const [xs, ys] = [places.map(({ x }) => x), places.map(({ y }) => y)];
    const held = anew ? null : this.#bounds;
    const first = !this.#bounds;
    const left = Math.min(...xs.map((x) => x - MARGIN_TILES), held?.x ?? Infinity);
    const low = Math.min(...ys.map((y) => y - MARGIN_TILES), held?.y ?? Infinity);
    const right = Math.max(...xs.map((x) => x + MARGIN_TILES), held ? held.x + held.width : -Infinity);
    const high = Math.max(...ys.map((y) => y + MARGIN_TILES), held ? held.y + held.height : -Infinity);
    this.#bounds = { x: left, y: low, width: right - left, height: high - low };
    if (first) this.#view = this.#wanted(this.element.clientWidth || 1, this.element.clientHeight || 1);
  }

  /** @param {number} width @param {number} height of the element, in pixels */
  #wanted(width, height) {
    const bounds = this.#bounds ?? this.#view;
    const tile = Math.min(width / Math.max(bounds.width, LEAST_TILES), height / Math.max(bounds.height, LEAST_TILES * 0.6));
    const [across, up] = [width / tile, height / tile];
    const [middleX, middleY] = [bounds.x + bounds.width / 2, bounds.y + bounds.height / 2];
    return { x: middleX - across / 2, y: middleY - up / 2, width: across, height: up };
  }

  #paint = (/** @type {number} */ time) => {
    requestAnimationFrame(this.#paint);
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height || !this.#bounds) return;
    const now = performance.now();
    this.#moveView(width, height, now);
    const scale = devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== wide || this.canvas.height !== high) [this.canvas.width, this.canvas.height] = [wide, high];
    this.brush.setTransform(scale, 0, 0, scale, 0, 0);
    this.brush.clearRect(0, 0, width, height);
    const ink = getComputedStyle(this.element);
    this.#paintGrid(width, height, ink);
    this.#paintWalkers(width, height, now);
    this.#paintSky(width, height, time, ink);
  };

  #moveView(width, height, now) {
    const wanted = this.#wanted(width, height);
    const share = this.#still.matches ? 1 : Math.min(1, (now - this.#paintedAt) / VIEW_FOLLOWS_MS);
    for (const side of Object.keys(wanted)) this.#view[side] = between(this.#view[side], wanted[side], share);
    this.#paintedAt = now;
  }

  /** North is up. */
  #onScreen({ x, y }, width, height) {
    const { x: left, y: low, width: across, height: up } = this.#view;
    return { x: ((x - left) / across) * width, y: height - ((y - low) / up) * height };
  }

  #onGround(left, top) {
    const { x, y, width: across, height: up } = this.#view;
    const { clientWidth: width, clientHeight: height } = this.element;
    return { x: x + (left / width) * across, y: y + ((height - top) / height) * up };
  }

  #paintGrid(width, height, ink) {
    const { x, y, width: across, height: up } = this.#view;
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((tiles) => (tiles / across) * width >= 36) ?? 1000;
    this.brush.strokeStyle = ink.getPropertyValue("--grid");
    this.brush.fillStyle = ink.getPropertyValue("--soft");
    this.brush.font = "10px system-ui, sans-serif";
    this.brush.lineWidth = 1;
    this.brush.beginPath();
    for (let column = Math.ceil(x / step) * step; column < x + across; column += step) {
      const at = Math.round(this.#onScreen({ x: column, y }, width, height).x) + 0.5;
      this.brush.moveTo(at, 0);
      this.brush.lineTo(at, height);
      if (column % (step * 2) === 0) this.brush.fillText(String(column), at + 3, height - 4);
    }
    for (let row = Math.ceil(y / step) * step; row < y + up; row += step) {
      const at = Math.round(this.#onScreen({ x, y: row }, width, height).y) + 0.5;
      this.brush.moveTo(0, at);
      this.brush.lineTo(width, at);
      if (row % (step * 2) === 0) this.brush.fillText(String(row), 4, at - 3);
    }
    this.brush.stroke();
  }

  #paintWalkers(width, height, now) {
    for (const [id, walker] of this.#walkers) {
      if (walker.goneAt && now - walker.goneAt > FADE_MS) {
        walker.button.remove();
        this.#walkers.delete(id);
        continue;
      }
      const at = this.#onScreen(walker.at(now), width, height);
      this.#paintTrail(walker, at, width, height);
      const place = `${at.x.toFixed(1)}px ${at.y.toFixed(1)}px`;
      if (place === walker.place) continue;
      walker.place = walker.button.style.translate = place;
      walker.button.classList.toggle("low", at.y > height - 64);
      walker.button.classList.toggle("leftmost", at.x < 80);
      walker.button.classList.toggle("rightmost", at.x > width - 80);
    }
  }

  #paintTrail(walker, at, width, height) {
    const points = [...walker.trail.map((point) => this.#onScreen(point, width, height)), at];
    this.brush.lineWidth = 3;
    this.brush.lineCap = "round";
    for (let index = 1; index < points.length; index += 1) {
      this.brush.strokeStyle = `hsl(${walker.hue} 70% 55% / ${((0.4 * index) / points.length).toFixed(2)})`;
      this.brush.beginPath();
      this.brush.moveTo(points[index - 1].x, points[index - 1].y);
      this.brush.lineTo(points[index].x, points[index].y);
      this.brush.stroke();
    }
  }

  #paintSky(width, height, time, ink) {
    const { weather, night } = this.#sky;
    if (night) {
      this.brush.fillStyle = `rgb(24 20 84 / ${0.34 * night})`;
      this.brush.fillRect(0, 0, width, height);
      this.#paintLanterns(width, height, night);
    }
    if (/fog|mist/i.test(weather)) {
      this.brush.fillStyle = ink.getPropertyValue("--fog");
      this.brush.fillRect(0, 0, width, height);
    }
    const snow = /snow/i.test(weather);
    if (snow || /rain|storm|drizzle/i.test(weather)) this.#paintFall(width, height, this.#still.matches ? 0 : time, snow, ink);
  }

  #paintLanterns(width, height, night) {
    for (const walker of this.#walkers.values()) {
      const { x, y } = this.#onScreen(walker.at(performance.now()), width, height);
      const light = this.brush.createRadialGradient(x, y, 4, x, y, 46);
      light.addColorStop(0, `rgb(255 214 120 / ${0.5 * night})`);
      light.addColorStop(1, "rgb(255 214 120 / 0)");
      this.brush.fillStyle = light;
      this.brush.fillRect(x - 46, y - 46, 92, 92);
    }
  }

  #paintFall(width, height, time, snow, ink) {
    this.brush.strokeStyle = this.brush.fillStyle = ink.getPropertyValue(snow ? "--snow" : "--rain");
    this.brush.lineWidth = 1;
    this.brush.beginPath();
    for (const [x, y, speed] of this.#drops) {
      const fallen = (y + (time / (snow ? 9000 : 900)) * speed) % 1;
      const left = ((x + (snow ? Math.sin(time / 1500 + y * 9) * 0.01 : fallen * 0.04)) % 1) * width;
      if (snow) {
        this.brush.moveTo(left, fallen * height);
        this.brush.arc(left, fallen * height, 1 + speed, 0, 7);
      } else {
        this.brush.moveTo(left, fallen * height);
        this.brush.lineTo(left + 2, fallen * height + 10 * speed);
      }
    }
    if (snow) this.brush.fill();
    else this.brush.stroke();
  }
}
