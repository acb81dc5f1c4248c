/** What the tables of hosts, sessions, zones and services show, and by what they can be filtered. */

import { ago, badge, bar, el, figure, ms, name, of, opener, pair, score, tenths, whole } from "./dom.js";

/**
 * @typedef {{head: string, className?: string, cell: (item: any) => (Node | string | false | null)[]}} Column
 * @typedef {{id: (item: any) => string, columns: Column[], filters: Filter[], empty: string}} Table
 * @typedef {{name: string, label: string, options?: string[], open?: string}} Filter
 */

const NUMBER = "number";
const WIDE = "wide"; // not on a phone
const WIDEST = "widest"; // only where there is much room

const MOST_NAMED = 3;

const SILENT_S = 6; // processes are asked every 2 s: three questions without an answer

/** @param {{silent_s: number}} seen */
export const isSilent = (seen) => seen.silent_s > SILENT_S;

const people = (players) => {
  const named = players.slice(0, MOST_NAMED).flatMap((player, index) => [index ? ", " : "", name(player)]);
  return players.length > MOST_NAMED ? [...named, ` +${players.length - MOST_NAMED}`] : named;
};

export const basis = (host) => (host.measured ? "measured" : host.confidence > 0 ? "claimed" : "unknown");

export const scoreTone = (points) => (points >= 70 ? "good" : points >= 50 ? "warn" : "bad");

/** @type {Record<string, Table>} */
export const TABLES = {
  hosts: {
    id: (host) => host.host_id,
    empty: "No host here. One registers with POST /api/v1/hosts, or on this machine with p2p demo.",
    filters: [
      { name: "status", label: "State", options: ["online", "suspect", "offline", "busy", "maintenance", "draining"] },
      { name: "region", label: "Region" },
      { name: "find", label: "Open by host id", open: "host" },
    ],
    columns: [
      { head: "Host", cell: (host) => [el("div", { className: "called" }, opener("host", host.host_id), host.player_name && el("small", {}, name(host.player_name)))] },
      { head: "State", cell: (host) => [badge(host.status)] },
      { head: "Score", className: NUMBER, cell: (host) => [bar(host.quality_score / 100, scoreTone(host.quality_score)), figure(score(host.quality_score))] },
      { head: "Basis", className: WIDE, cell: (host) => [badge(basis(host), host.measured ? "good" : "calm"), el("small", {}, ` ${Math.round(100 * host.confidence)} %`)] },
      { head: "Players", className: NUMBER, cell: (host) => [bar(host.current_players / host.max_players), pair(host.current_players, host.max_players)] },
      { head: "Zones", className: `${NUMBER} ${WIDEST}`, cell: (host) => [of(host.current_zones, host.max_zones)] },
      { head: "Latency", className: `${NUMBER} ${WIDE}`, cell: (host) => [ms(host.latency_ms)] },
      { head: "Loss", className: `${NUMBER} ${WIDEST}`, cell: (host) => [host.packet_loss_percent == null ? "–" : `${tenths(host.packet_loss_percent)} %`] },
      { head: "Region", className: WIDE, cell: (host) => [host.region ? name(host.region) : "–"] },
      { head: "Beat", className: `${NUMBER} ${WIDE}`, cell: (host) => [ago(host.last_heartbeat)] },
    ],
  },
  sessions: {
    id: (session) => session.session_id,
    empty: "No session here. One begins when a player enters a zone that a host can serve.",
    filters: [
      { name: "status", label: "State", options: ["live", "pending", "active", "migrating", "fallback", "ended", "failed"] },
      { name: "zone_id", label: "Zone" },
      { name: "player_id", label: "Player" },
      { name: "find", label: "Open by session id", open: "session" },
    ],
    columns: [
      { head: "Session", cell: (session) => [opener("session", session.session_id)] },
      { head: "State", cell: (session) => [badge(session.status)] },
      { head: "Zone", cell: (session) => [opener("zone", session.zone_id)] },
      { head: "Players", className: NUMBER, cell: (session) => [bar(session.current_players / session.max_players), pair(session.current_players, session.max_players)] },
      { head: "Who", className: `${WIDE} who`, cell: (session) => people(session.connected_players) },
      { head: "Epoch", className: `${NUMBER} ${WIDE}`, cell: (session) => [whole(session.epoch)] },
      { head: "Host", className: WIDE, cell: (session) => [opener("host", session.host_id)] },
      { head: "Latency", className: `${NUMBER} ${WIDEST}`, cell: (session) => [ms(session.average_latency_ms)] },
      { head: "Active", className: `${NUMBER} ${WIDE}`, cell: (session) => [ago(session.last_activity_at)] },
    ],
  },
  zones: {
    id: (zone) => zone.zone_id,
    empty: "No zone here. Game servers make them with POST /api/v1/zones.",
    filters: [
      { name: "status", label: "State", options: ["enabled", "disabled", "maintenance"] },
      { name: "find", label: "Open by zone id", open: "zone" },
    ],
    columns: [
      { head: "Zone", cell: (zone) => [el("div", { className: "called" }, opener("zone", zone.zone_id), zone.zone_display_name !== zone.zone_id && el("small", {}, name(zone.zone_display_name)))] },
      { head: "State", cell: (zone) => [badge(zone.status)] },
      { head: "Hosted by", className: WIDE, cell: (zone) => [zone.p2p_enabled ? "players’ machines" : "central server"] },
      { head: "Live", className: NUMBER, cell: (zone) => [whole(zone.active_sessions)] },
      { head: "Ever", className: `${NUMBER} ${WIDE}`, cell: (zone) => [whole(zone.total_sessions)] },
      { head: "Served", className: `${NUMBER} ${WIDE}`, cell: (zone) => [whole(zone.total_players_served)] },
      { head: "Score from", className: NUMBER, cell: (zone) => [tenths(zone.min_host_quality_score)] },
      { head: "Mbit/s from", className: `${NUMBER} ${WIDEST}`, cell: (zone) => [whole(zone.min_bandwidth_mbps)] },
      { head: "Latency to", className: `${NUMBER} ${WIDE}`, cell: (zone) => [ms(zone.max_latency_ms)] },
    ],
  },
  services: {
    id: (seen) => `${seen.service} ${seen.instance}`,
    empty: "No process has answered yet.",
    filters: [],
    columns: [
      { head: "Process", cell: (seen) => [name(seen.instance)] },
      { head: "State", cell: (seen) => [isSilent(seen) ? badge("silent", "bad") : badge("answers"), isSilent(seen) && el("small", {}, ` ${whole(seen.silent_s)} s`)] },
      { head: "Up", className: NUMBER, cell: (seen) => [ago(seen.started)] },
      { head: "Req/s", className: NUMBER, cell: (seen) => [tenths(seen.rate)] },
      { head: "Requests", className: `${NUMBER} ${WIDE}`, cell: (seen) => [whole(seen.requests)] },
      { head: "Refused", className: `${NUMBER} ${WIDE}`, cell: (seen) => [whole(seen.errors)] },
      { head: "Mean", className: `${NUMBER} ${WIDE}`, cell: (seen) => [seen.requests ? ms((1000 * seen.seconds) / seen.requests) : "–"] },
      { head: "Version", className: WIDE, cell: (seen) => [name(seen.version)] },
    ],
  },
};
