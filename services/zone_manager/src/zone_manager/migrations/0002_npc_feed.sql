ALTER TABLE zones ADD COLUMN npc_feed_interval_s double precision;
COMMENT ON COLUMN zones.npc_feed_interval_s IS 'How often the zone''s NPCs are told; null: as often as scheduler is set to.';
