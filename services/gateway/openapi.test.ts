import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { expect, it } from "vitest";
import { buildOpenapi, openapiFile, openapiText } from "./openapi.ts";

it("the OpenAPI document is valid", async () => {
  const { valid, errors } = await new Validator().validate({ ...(await buildOpenapi()) });
  expect(errors).toBeUndefined();
  expect(valid).toBe(true);
});

it("docs/generated/openapi.json is what the routes say", async () => {
  expect(
    readFileSync(openapiFile, "utf8"),
    "write it anew with `npx node services/gateway/openapi.ts` and commit it",
  ).toBe(await openapiText());
});
