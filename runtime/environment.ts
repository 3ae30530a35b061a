import { readFileSync } from "node:fs";
import { StartError } from "./errors.ts";

/** What every service is configured by. Unset is the same as empty. */
export interface ServiceEnvironment {
  /** `PAINTDRY_NATS_URL`: `nats://user:password@host:4222`, or `tls://…`. */
  natsUrl: string;
  /** `PAINTDRY_NATS_CA`: a file with the CA of the broker's certificate, for `tls://`. */
  natsCaFile: string | null;
  /** `PAINTDRY_PORT`: for health and metrics, and for the gateway its API; null leaves it out. */
  port: number | null;
  /** `PAINTDRY_HOST`: the address to listen on; loopback unless said otherwise. */
  host: string;
  /** `PAINTDRY_CONFIG`: where `config.json` is. */
  configFile: string | null;
  /** `PAINTDRY_DATA_DIR`: the service's own folder, for what may be lost. */
  dataFolder: string | null;
}

export function readEnvironment(environment: NodeJS.ProcessEnv = process.env): ServiceEnvironment {
  return {
    natsUrl: requiredSecret(environment, "PAINTDRY_NATS_URL", "nats://user:password@localhost:4222"),
    natsCaFile: environment.PAINTDRY_NATS_CA || null,
    port: readPort(environment.PAINTDRY_PORT),
    host: environment.PAINTDRY_HOST || "127.0.0.1",
    configFile: environment.PAINTDRY_CONFIG || null,
    dataFolder: environment.PAINTDRY_DATA_DIR || null,
  };
}

/** A setting that holds a secret: `NAME`, or `NAME_FILE` with the path of a file that holds it. */
export function requiredSecret(environment: NodeJS.ProcessEnv, name: string, example: string): string {
  const file = environment[`${name}_FILE`];
  const text = file ? readSecretFile(name, file) : environment[name];
  if (!text) throw new StartError("missing_setting", `${name} is not set. Set it, for example to ${example}`);
  return text;
}

function readSecretFile(name: string, file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new StartError("missing_setting", `${name}_FILE names ${file}, which cannot be read`, { cause: error });
  }
}

function readPort(text: string | undefined): number | null {
  if (!text) return null;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new StartError("bad_setting", `PAINTDRY_PORT is ${JSON.stringify(text)}; it must be a port number`);
  }
  return port;
}
