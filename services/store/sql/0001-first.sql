-- The first schema. Text that watched sites send is kept as `json`, not `jsonb`: jsonb refuses \u0000 and lone
-- surrogates, which hostile values contain, and values are compared by their canonical text anyway.

-- Configurations that were in force; the newest one is.
CREATE TABLE config_revision (
  revision bigint PRIMARY KEY,
  hash text NOT NULL,
  modified_at timestamptz NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(),
  document json NOT NULL,
  every_ms bigint NOT NULL,
  every_ms_by_module json NOT NULL,
  retry_after_ms bigint NOT NULL,
  sooner_after_change_ms bigint NOT NULL,
  announce_after int NOT NULL,
  rediscover_every_ms bigint NOT NULL
);
CREATE INDEX config_revision_hash ON config_revision (hash);

-- The newest file, while it is refused: at most one row.
CREATE TABLE config_refusal (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  refused_at timestamptz NOT NULL,
  faults json NOT NULL
);

-- What a stream's present incarnation is: when it was made, as ISO 8601 in milliseconds.
CREATE TABLE stream_epoch (
  stream text PRIMARY KEY,
  created_at text NOT NULL,
  epoch bigint NOT NULL,
  first_met_at timestamptz NOT NULL DEFAULT now()
);

-- What is watched, and why not. Nothing is ever deleted from here.
CREATE TABLE resource (
  resource_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  module text NOT NULL,
  resource text NOT NULL,
  host text NOT NULL,
  lane text NOT NULL,
  owner text NOT NULL,
  source text NOT NULL,
  state text NOT NULL CHECK (state IN ('candidate', 'waiting', 'confirmed', 'alias', 'refused', 'retired')),
  -- What it was before it was retired: what it becomes again when it can be reached again.
  state_before text,
  refusal text,
  is_refused_by_person boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  -- When its module first said that it is one of its own.
  confirmed_at timestamptz,
  -- When it became watched (again) and wants a look before its slot comes.
  first_look_at timestamptz,
  -- The period of the target that names it, or of the resource that led to it.
  own_every_ms bigint,
  every_ms bigint NOT NULL,
  phase_ms bigint GENERATED ALWAYS AS (('x' || substr(id, 1, 8))::bit(32)::bigint % every_ms) STORED,
  discover_at timestamptz,
  discover_attempts int NOT NULL DEFAULT 0,
  discovery_epoch bigint NOT NULL DEFAULT 0,
  discovery_sequence bigint NOT NULL DEFAULT 0
);
CREATE INDEX resource_slot ON resource (every_ms, phase_ms, resource_key) WHERE state = 'confirmed';
CREATE INDEX resource_first_look ON resource (first_look_at, resource_key) WHERE state = 'confirmed';
CREATE INDEX resource_discover ON resource (discover_at, resource_key) WHERE discover_at IS NOT NULL;
CREATE INDEX resource_name ON resource (left(resource, 256), resource_key);
CREATE INDEX resource_lane ON resource (lane, resource_key);
CREATE INDEX resource_host ON resource (host, resource_key);
CREATE INDEX resource_source ON resource (source);

-- Where a resource's looks stand: narrow, and every look updates it in place (HOT), so no column but the key is
-- indexed. Its row is also the lock under which outcomes of one resource are committed one after the other.
CREATE TABLE look (
  resource_key bigint PRIMARY KEY REFERENCES resource,
  revision bigint NOT NULL DEFAULT 0,
  -- Of the present values; null while it is gone, so that its return never passes for an unchanged look.
  fingerprint text,
  -- Does the resource exist? null before the first look that could tell.
  is_there boolean,
  fence_epoch bigint NOT NULL DEFAULT 0,
  fence_sequence bigint NOT NULL DEFAULT 0,
  looked_at timestamptz,
  seen_at timestamptz,
  module_version int,
  options_fingerprint text,
  -- After values were taken over from CHANGES and until the next report: what events do not tell is not known.
  is_imported boolean NOT NULL DEFAULT false
) WITH (fillfactor = 60);

-- What a module saved for its next look, as canonical JSON.
CREATE TABLE saved_state (
  resource_key bigint PRIMARY KEY REFERENCES resource,
  state text NOT NULL
);

-- Only while a resource cannot be looked at.
CREATE TABLE failure (
  resource_key bigint PRIMARY KEY REFERENCES resource,
  failures int NOT NULL,
  failing_since timestamptz NOT NULL,
  error json NOT NULL,
  is_announced boolean NOT NULL DEFAULT false
);

-- A look wanted before the resource's slot: after a failure or a change.
CREATE TABLE early_look (
  resource_key bigint PRIMARY KEY REFERENCES resource,
  due_at timestamptz NOT NULL,
  cause text NOT NULL CHECK (cause IN ('retry', 'after_change'))
);
CREATE INDEX early_look_due ON early_look (due_at, resource_key);

-- Why a resource is watched: from a root (no parent; the configuration, a person, an outside source) or a resource.
CREATE TABLE edge (
  edge_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  parent_key bigint REFERENCES resource,
  child_key bigint NOT NULL REFERENCES resource,
  config_revision bigint NOT NULL,
  -- A root's own period.
  every_ms bigint,
  since timestamptz NOT NULL DEFAULT now(),
  UNIQUE NULLS NOT DISTINCT (parent_key, child_key, source),
  CHECK (parent_key <> child_key)
);
CREATE INDEX edge_child ON edge (child_key);

-- Current values; one that disappeared keeps its row.
CREATE TABLE value (
  value_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  resource_key bigint NOT NULL REFERENCES resource,
  attribute text NOT NULL,
  value json NOT NULL,
  is_present boolean NOT NULL,
  severity text,
  reason text,
  first_seen_at timestamptz NOT NULL,
  last_changed_at timestamptz NOT NULL,
  -- For rules that confirm before they raise: what was seen, and how often in a row.
  pending_value json,
  pending_looks int NOT NULL DEFAULT 0,
  UNIQUE (resource_key, attribute)
);
CREATE INDEX value_finding ON value (resource_key, severity) WHERE is_present AND severity IS NOT NULL AND severity <> 'none';

-- Bodies of evidence, once each.
CREATE TABLE evidence (
  sha256 text PRIMARY KEY,
  media_type text NOT NULL,
  text text NOT NULL,
  first_seen_at timestamptz NOT NULL DEFAULT now()
);

-- A burst of changes that belong together.
CREATE TABLE incident (
  incident_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  title text NOT NULL,
  severity text,
  triage text NOT NULL DEFAULT 'open' CHECK (triage IN ('open', 'acknowledged', 'expected', 'resolved')),
  opened_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz
);

-- A change announced in advance, by whom and why.
CREATE TABLE expectation (
  expectation_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  module text,
  resource text,
  attribute text,
  new_value json,
  reason text NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  valid_from timestamptz NOT NULL DEFAULT now(),
  valid_until timestamptz NOT NULL
);

-- The newest feed position. Taken as the last step of a transaction, and its row stays locked until the commit: so
-- positions become visible in their order, and a reader that resumes after one misses none.
CREATE TABLE feed (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  position bigint NOT NULL
);
INSERT INTO feed (position) VALUES (0);

-- The change feed, and its own outbox: `published_at` is null until CHANGES has it.
CREATE TABLE change (
  id uuid PRIMARY KEY,
  position bigint NOT NULL UNIQUE,
  resource_key bigint NOT NULL REFERENCES resource,
  -- As they were when it was recorded, so that an event published again is the same event.
  host text NOT NULL,
  owner text NOT NULL,
  attribute text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('appeared', 'changed', 'disappeared', 'rated', 'happened')),
  old_value json NOT NULL,
  new_value json NOT NULL,
  severity text,
  reason text NOT NULL,
  is_late boolean NOT NULL,
  observed_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  job_epoch bigint NOT NULL,
  job_sequence bigint NOT NULL,
  -- Above 0 for further things that happened under one name in one look, and for what was taken over from CHANGES:
  -- then the feed position, beside the last job known here, since an event does not tell its job.
  ordinal bigint NOT NULL,
  fetcher text NOT NULL,
  evidence_sha256 text REFERENCES evidence,
  published_at timestamptz,
  is_replay boolean NOT NULL DEFAULT false,
  triage text NOT NULL DEFAULT 'open' CHECK (triage IN ('open', 'acknowledged', 'expected', 'resolved')),
  incident_key bigint REFERENCES incident,
  expectation_key bigint REFERENCES expectation,
  UNIQUE (resource_key, job_epoch, job_sequence, attribute, ordinal)
);
CREATE INDEX change_unpublished ON change (position) WHERE published_at IS NULL;
CREATE INDEX change_of_resource ON change (resource_key, position);
CREATE INDEX change_recorded ON change (recorded_at);

-- Append-only: every value that was written, with the built-in `exists`.
CREATE TABLE history (
  history_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  resource_key bigint NOT NULL REFERENCES resource,
  attribute text NOT NULL,
  revision bigint NOT NULL,
  job_epoch bigint NOT NULL,
  job_sequence bigint NOT NULL,
  -- As of the change, for what was taken over from CHANGES; else 0.
  ordinal bigint NOT NULL DEFAULT 0,
  old_value json NOT NULL,
  new_value json NOT NULL,
  was_present boolean NOT NULL,
  is_present boolean NOT NULL,
  -- The standing severity and reason that came with the new value.
  severity text,
  reason text,
  is_late boolean NOT NULL DEFAULT false,
  observed_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  change_id uuid REFERENCES change DEFERRABLE INITIALLY DEFERRED,
  UNIQUE (resource_key, job_epoch, job_sequence, attribute, ordinal)
);
CREATE INDEX history_of_resource ON history (resource_key, history_key);
CREATE INDEX history_of_attribute ON history (resource_key, attribute, history_key);

-- A look that keeps failing, and its recovery; its own outbox too.
CREATE TABLE health (
  id uuid PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('failing', 'recovered')),
  resource_key bigint NOT NULL REFERENCES resource,
  host text NOT NULL,
  owner text NOT NULL,
  error json,
  failures int NOT NULL,
  failing_since timestamptz NOT NULL,
  last_seen_at timestamptz,
  reason text NOT NULL,
  job_epoch bigint NOT NULL,
  job_sequence bigint NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  published_at timestamptz,
  UNIQUE (resource_key, job_epoch, job_sequence, kind)
);
CREATE INDEX health_unpublished ON health (recorded_at, id) WHERE published_at IS NULL;

-- One alert of one event by one route. Claimed from the stream (`claimant` holds it until `held_until`), or, once an
-- attempt failed, handed out by `due_at`.
CREATE TABLE delivery (
  event_id uuid NOT NULL,
  route text NOT NULL,
  channel text NOT NULL CHECK (channel IN ('webhook', 'email')),
  state text NOT NULL CHECK (state IN ('sending', 'delivered', 'failed', 'given_up')),
  attempts int NOT NULL,
  detail text NOT NULL DEFAULT '',
  claimant text,
  held_until timestamptz NOT NULL,
  due_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (event_id, route, channel)
);
CREATE INDEX delivery_updated ON delivery (updated_at, event_id, route);
CREATE INDEX delivery_due ON delivery (route, channel, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX delivery_unfinished ON delivery (route, channel, created_at) WHERE state IN ('sending', 'failed');

-- Append-only: what people decided.
CREATE TABLE audit (
  audit_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  who text NOT NULL,
  action text NOT NULL,
  resource_key bigint REFERENCES resource,
  detail json NOT NULL
);

CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END;
$$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
CREATE TRIGGER history_is_append_only BEFORE UPDATE OR DELETE ON history
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();

-- Search by substring, where the extension can be had; without it the same queries read the tables through.
DO $$
BEGIN
  CREATE EXTENSION IF NOT EXISTS pg_trgm;
  CREATE INDEX resource_text ON resource USING gin (resource gin_trgm_ops);
  CREATE INDEX value_text ON value USING gin ((value::text) gin_trgm_ops);
  CREATE INDEX value_attribute_text ON value USING gin (attribute gin_trgm_ops);
  CREATE INDEX change_text ON change
    USING gin ((attribute || ' ' || reason || ' ' || old_value::text || ' ' || new_value::text) gin_trgm_ops);
EXCEPTION WHEN undefined_file OR feature_not_supported OR insufficient_privilege THEN
  RAISE NOTICE 'search without pg_trgm: %', SQLERRM;
END;
$$;
