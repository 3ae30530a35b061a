CREATE TABLE audit (
  audit_key bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  at timestamp with time zone DEFAULT now() NOT NULL,
  who text NOT NULL,
  action text NOT NULL,
  resource_key bigint,
  detail json NOT NULL,
  PRIMARY KEY (audit_key),
  FOREIGN KEY (resource_key) REFERENCES resource(resource_key)
);

CREATE TABLE change (
  id uuid NOT NULL,
  position bigint NOT NULL,
  resource_key bigint NOT NULL,
  host text NOT NULL,
  owner text NOT NULL,
  attribute text NOT NULL,
  kind text NOT NULL,
  old_value json NOT NULL,
  new_value json NOT NULL,
  severity text,
  reason text NOT NULL,
  is_late boolean NOT NULL,
  observed_at timestamp with time zone NOT NULL,
  recorded_at timestamp with time zone DEFAULT now() NOT NULL,
  job_epoch bigint NOT NULL,
  job_sequence bigint NOT NULL,
  ordinal bigint NOT NULL,
  fetcher text NOT NULL,
  evidence_sha256 text,
  published_at timestamp with time zone,
  is_replay boolean DEFAULT false NOT NULL,
  triage text DEFAULT 'open'::text NOT NULL,
  incident_key bigint,
  expectation_key bigint,
  FOREIGN KEY (evidence_sha256) REFERENCES evidence(sha256),
  FOREIGN KEY (expectation_key) REFERENCES expectation(expectation_key),
  FOREIGN KEY (incident_key) REFERENCES incident(incident_key),
  CHECK ((kind = ANY (ARRAY['appeared'::text, 'changed'::text, 'disappeared'::text, 'rated'::text, 'happened'::text]))),
  PRIMARY KEY (id),
  UNIQUE ("position"),
  FOREIGN KEY (resource_key) REFERENCES resource(resource_key),
  UNIQUE (resource_key, job_epoch, job_sequence, attribute, ordinal),
  CHECK ((triage = ANY (ARRAY['open'::text, 'acknowledged'::text, 'expected'::text, 'resolved'::text])))
);

CREATE TABLE config_refusal (
  is_only boolean DEFAULT true NOT NULL,
  refused_at timestamp with time zone NOT NULL,
  faults json NOT NULL,
  CHECK (is_only),
  PRIMARY KEY (is_only)
);

CREATE TABLE config_revision (
  revision bigint NOT NULL,
  hash text NOT NULL,
  modified_at timestamp with time zone NOT NULL,
  applied_at timestamp with time zone DEFAULT now() NOT NULL,
  document json NOT NULL,
  every_ms bigint NOT NULL,
  every_ms_by_module json NOT NULL,
  retry_after_ms bigint NOT NULL,
  sooner_after_change_ms bigint NOT NULL,
  announce_after integer NOT NULL,
  rediscover_every_ms bigint NOT NULL,
  PRIMARY KEY (revision)
);

CREATE TABLE delivery (
  event_id uuid NOT NULL,
  route text NOT NULL,
  channel text NOT NULL,
  state text NOT NULL,
  attempts integer NOT NULL,
  detail text DEFAULT ''::text NOT NULL,
  claimant text,
  held_until timestamp with time zone NOT NULL,
  due_at timestamp with time zone,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  CHECK ((channel = ANY (ARRAY['webhook'::text, 'email'::text]))),
  PRIMARY KEY (event_id, route, channel),
  CHECK ((state = ANY (ARRAY['sending'::text, 'delivered'::text, 'failed'::text, 'given_up'::text])))
);

CREATE TABLE early_look (
  resource_key bigint NOT NULL,
  due_at timestamp with time zone NOT NULL,
  cause text NOT NULL,
  CHECK ((cause = ANY (ARRAY['retry'::text, 'after_change'::text]))),
  PRIMARY KEY (resource_key),
  FOREIGN KEY (resource_key) REFERENCES resource(resource_key)
);

CREATE TABLE edge (
  edge_key bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  source text NOT NULL,
  parent_key bigint,
  child_key bigint NOT NULL,
  config_revision bigint NOT NULL,
  every_ms bigint,
  since timestamp with time zone DEFAULT now() NOT NULL,
  CHECK ((parent_key <> child_key)),
  FOREIGN KEY (child_key) REFERENCES resource(resource_key),
  UNIQUE NULLS NOT DISTINCT (parent_key, child_key, source),
  FOREIGN KEY (parent_key) REFERENCES resource(resource_key),
  PRIMARY KEY (edge_key)
);

CREATE TABLE evidence (
  sha256 text NOT NULL,
  media_type text NOT NULL,
  text text NOT NULL,
  first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
  PRIMARY KEY (sha256)
);

CREATE TABLE expectation (
  expectation_key bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  module text,
  resource text,
  attribute text,
  new_value json,
  reason text NOT NULL,
  created_by text NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  valid_from timestamp with time zone DEFAULT now() NOT NULL,
  valid_until timestamp with time zone NOT NULL,
  PRIMARY KEY (expectation_key)
);

CREATE TABLE failure (
  resource_key bigint NOT NULL,
  failures integer NOT NULL,
  failing_since timestamp with time zone NOT NULL,
  error json NOT NULL,
  is_announced boolean DEFAULT false NOT NULL,
  PRIMARY KEY (resource_key),
  FOREIGN KEY (resource_key) REFERENCES resource(resource_key)
);

CREATE TABLE feed (
  is_only boolean DEFAULT true NOT NULL,
  position bigint NOT NULL,
  CHECK (is_only),
  PRIMARY KEY (is_only)
);

CREATE TABLE health (
  id uuid NOT NULL,
  kind text NOT NULL,
  resource_key bigint NOT NULL,
  host text NOT NULL,
  owner text NOT NULL,
  error json,
  failures integer NOT NULL,
  failing_since timestamp with time zone NOT NULL,
  last_seen_at timestamp with time zone,
  reason text NOT NULL,
  job_epoch bigint NOT NULL,
  job_sequence bigint NOT NULL,
  recorded_at timestamp with time zone DEFAULT now() NOT NULL,
  published_at timestamp with time zone,
  CHECK ((kind = ANY (ARRAY['failing'::text, 'recovered'::text]))),
  PRIMARY KEY (id),
  FOREIGN KEY (resource_key) REFERENCES resource(resource_key),
  UNIQUE (resource_key, job_epoch, job_sequence, kind)
);

CREATE TABLE history (
  history_key bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  resource_key bigint NOT NULL,
  attribute text NOT NULL,
  revision bigint NOT NULL,
  job_epoch bigint NOT NULL,
  job_sequence bigint NOT NULL,
  ordinal bigint DEFAULT 0 NOT NULL,
  old_value json NOT NULL,
  new_value json NOT NULL,
  was_present boolean NOT NULL,
  is_present boolean NOT NULL,
  severity text,
  reason text,
  is_late boolean DEFAULT false NOT NULL,
  observed_at timestamp with time zone NOT NULL,
  recorded_at timestamp with time zone DEFAULT now() NOT NULL,
  change_id uuid,
  FOREIGN KEY (change_id) REFERENCES change(id) DEFERRABLE INITIALLY DEFERRED,
  PRIMARY KEY (history_key),
  FOREIGN KEY (resource_key) REFERENCES resource(resource_key),
  UNIQUE (resource_key, job_epoch, job_sequence, attribute, ordinal)
);

CREATE TABLE incident (
  incident_key bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  title text NOT NULL,
  severity text,
  triage text DEFAULT 'open'::text NOT NULL,
  opened_at timestamp with time zone DEFAULT now() NOT NULL,
  closed_at timestamp with time zone,
  PRIMARY KEY (incident_key),
  CHECK ((triage = ANY (ARRAY['open'::text, 'acknowledged'::text, 'expected'::text, 'resolved'::text])))
);

CREATE TABLE look (
  resource_key bigint NOT NULL,
  revision bigint DEFAULT 0 NOT NULL,
  fingerprint text,
  is_there boolean,
  fence_epoch bigint DEFAULT 0 NOT NULL,
  fence_sequence bigint DEFAULT 0 NOT NULL,
  looked_at timestamp with time zone,
  seen_at timestamp with time zone,
  module_version integer,
  options_fingerprint text,
  is_imported boolean DEFAULT false NOT NULL,
  PRIMARY KEY (resource_key),
  FOREIGN KEY (resource_key) REFERENCES resource(resource_key)
) WITH (fillfactor=60);

CREATE TABLE resource (
  resource_key bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  id text NOT NULL,
  module text NOT NULL,
  resource text NOT NULL,
  host text NOT NULL,
  lane text NOT NULL,
  owner text NOT NULL,
  source text NOT NULL,
  state text NOT NULL,
  state_before text,
  refusal text,
  is_refused_by_person boolean DEFAULT false NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  confirmed_at timestamp with time zone,
  first_look_at timestamp with time zone,
  own_every_ms bigint,
  every_ms bigint NOT NULL,
  phase_ms bigint GENERATED ALWAYS AS ((((('x'::text || substr(id, 1, 8)))::bit(32))::bigint % every_ms)) STORED,
  discover_at timestamp with time zone,
  discover_attempts integer DEFAULT 0 NOT NULL,
  discovery_epoch bigint DEFAULT 0 NOT NULL,
  discovery_sequence bigint DEFAULT 0 NOT NULL,
  UNIQUE (id),
  PRIMARY KEY (resource_key),
  CHECK ((state = ANY (ARRAY['candidate'::text, 'waiting'::text, 'confirmed'::text, 'alias'::text, 'refused'::text, 'retired'::text])))
);

CREATE TABLE saved_state (
  resource_key bigint NOT NULL,
  state text NOT NULL,
  PRIMARY KEY (resource_key),
  FOREIGN KEY (resource_key) REFERENCES resource(resource_key)
);

CREATE TABLE schema_version (
  version integer NOT NULL,
  name text NOT NULL,
  applied_at timestamp with time zone DEFAULT now() NOT NULL,
  PRIMARY KEY (version)
);

CREATE TABLE stream_epoch (
  stream text NOT NULL,
  created_at text NOT NULL,
  epoch bigint NOT NULL,
  first_met_at timestamp with time zone DEFAULT now() NOT NULL,
  PRIMARY KEY (stream)
);

CREATE TABLE value (
  value_key bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  resource_key bigint NOT NULL,
  attribute text NOT NULL,
  value json NOT NULL,
  is_present boolean NOT NULL,
  severity text,
  reason text,
  first_seen_at timestamp with time zone NOT NULL,
  last_changed_at timestamp with time zone NOT NULL,
  pending_value json,
  pending_looks integer DEFAULT 0 NOT NULL,
  PRIMARY KEY (value_key),
  UNIQUE (resource_key, attribute),
  FOREIGN KEY (resource_key) REFERENCES resource(resource_key)
);

CREATE INDEX change_of_resource ON public.change USING btree (resource_key, "position");

CREATE INDEX change_recorded ON public.change USING btree (recorded_at);

CREATE INDEX change_text ON public.change USING gin ((((((((attribute || ' '::text) || reason) || ' '::text) || (old_value)::text) || ' '::text) || (new_value)::text)) gin_trgm_ops);

CREATE INDEX change_unpublished ON public.change USING btree ("position") WHERE (published_at IS NULL);

CREATE INDEX config_revision_hash ON public.config_revision USING btree (hash);

CREATE INDEX delivery_due ON public.delivery USING btree (route, channel, due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX delivery_unfinished ON public.delivery USING btree (route, channel, created_at) WHERE (state = ANY (ARRAY['sending'::text, 'failed'::text]));

CREATE INDEX delivery_updated ON public.delivery USING btree (updated_at, event_id, route);

CREATE INDEX early_look_due ON public.early_look USING btree (due_at, resource_key);

CREATE INDEX edge_child ON public.edge USING btree (child_key);

CREATE INDEX health_unpublished ON public.health USING btree (recorded_at, id) WHERE (published_at IS NULL);

CREATE INDEX history_of_attribute ON public.history USING btree (resource_key, attribute, history_key);

CREATE INDEX history_of_resource ON public.history USING btree (resource_key, history_key);

CREATE INDEX resource_discover ON public.resource USING btree (discover_at, resource_key) WHERE (discover_at IS NOT NULL);

CREATE INDEX resource_first_look ON public.resource USING btree (first_look_at, resource_key) WHERE (state = 'confirmed'::text);

CREATE INDEX resource_host ON public.resource USING btree (host, resource_key);

CREATE INDEX resource_lane ON public.resource USING btree (lane, resource_key);

CREATE INDEX resource_name ON public.resource USING btree ("left"(resource, 256), resource_key);

CREATE INDEX resource_slot ON public.resource USING btree (every_ms, phase_ms, resource_key) WHERE (state = 'confirmed'::text);

CREATE INDEX resource_source ON public.resource USING btree (source);

CREATE INDEX resource_text ON public.resource USING gin (resource gin_trgm_ops);

CREATE INDEX value_attribute_text ON public.value USING gin (attribute gin_trgm_ops);

CREATE INDEX value_finding ON public.value USING btree (resource_key, severity) WHERE (is_present AND (severity IS NOT NULL) AND (severity <> 'none'::text));

CREATE INDEX value_text ON public.value USING gin (((value)::text) gin_trgm_ops);

CREATE OR REPLACE FUNCTION public.refuse_rewriting()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END;
$function$
;

CREATE TRIGGER audit_is_append_only BEFORE DELETE OR UPDATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();

CREATE TRIGGER history_is_append_only BEFORE DELETE OR UPDATE ON public.history FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
