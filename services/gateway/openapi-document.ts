import fastifySwagger from "@fastify/swagger";
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from "fastify-type-provider-zod";
import { z } from "zod";
import type { Api } from "./api.ts";
import { namedSchemas } from "./schemas.ts";

const options: Parameters<typeof createJsonSchemaTransform>[0] = {
  schemaRegistry: namedSchemas,
  zodToJsonConfig: {
    // Names stand in our registry, descriptions in zod's own.
    override({ zodSchema, jsonSchema }) {
      const description = z.globalRegistry.get(zodSchema)?.description;
      if (description !== undefined) jsonSchema.description = description;
    },
  },
};
const transform = createJsonSchemaTransform(options);
const transformObject = createJsonSchemaTransformObject(options);

/** Documents the routes that are added after it, from their schemas; `app.swagger()` is the document. */
export async function addOpenapi(app: Api, version: string): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "paintdry",
        version,
        description: "What is watched, what its values are, and what changed. Errors are listed in docs/errors.md.",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      servers: [{ url: "/" }],
    },
    transform,
    transformObject: (document) => withoutTwins(transformObject(document)),
    exposeHeadRoutes: false,
  });
}

export function addOpenapiRoute(app: Api): void {
  app.get("/openapi.json", { schema: { hide: true } }, async () => app.swagger());
}

/**
 * The provider makes each named schema twice, for requests as `…Input` and for answers. Ours parse to what they are
 * given, so both are the same, and one stays.
 */
function withoutTwins<Document extends object>(document: Document): Document {
  const text = JSON.stringify(document).replaceAll(/("#\/components\/schemas\/\w+)Input"/g, '$1"');
  const { components, ...rest } = JSON.parse(text) as { components: { schemas: Record<string, unknown> } };
  const schemas = Object.entries(components.schemas).filter(([name]) => !name.endsWith("Input"));
  return { ...rest, components: { schemas: Object.fromEntries(schemas) } } as unknown as Document;
}
