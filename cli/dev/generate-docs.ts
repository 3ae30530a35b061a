import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { ChangeEvent, HealthEvent } from "#contracts/messages.ts";
import { openapiText } from "../../services/gateway/openapi.ts";
import { projectFolder } from "../embedded/folders.ts";
import { configPage, configSchemaText } from "./config-page.ts";
import { errorsPage } from "./errors-page.ts";

/** Documents that are made from the code, by path; a test fails when a committed one differs. */
export const generatedDocuments: Record<string, () => Promise<string> | string> = {
  "docs/configuration.md": configPage,
  "docs/errors.md": errorsPage,
  "docs/generated/config.schema.json": configSchemaText,
  "docs/generated/change-event.schema.json": () => schemaText(ChangeEvent),
  "docs/generated/health-event.schema.json": () => schemaText(HealthEvent),
  "docs/generated/openapi.json": openapiText,
};

function schemaText(type: z.ZodType): string {
  return `${JSON.stringify(z.toJSONSchema(type, { io: "output" }), null, 2)}\n`;
}

// `npm run docs` writes them anew.
if (import.meta.main) {
  for (const [path, make] of Object.entries(generatedDocuments)) {
    const file = join(projectFolder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, await make());
    console.log(`wrote ${path}`);
  }
}
