import { defaultTreeAdapter, type DefaultTreeAdapterTypes, parse, type Token } from "parse5";
import { LookError } from "#contracts/look-error.ts";

/** One start tag, as a browser would see it; attributes by their lower-case names. */
export interface Tag {
  name: string;
  attributes: ReadonlyMap<string, string>;
}

/** Browsers stop nesting at 512; some of the standard's algorithms cost a walk up the open elements per tag. */
const maxDepth = 1000;
/** Misnested formatting elements are opened anew in each block: a page can cost the square of its size. */
const maxElements = 200_000;
const maxFramesDeep = 3;

/**
 * All elements of a page, in the order in which they were opened, and those of the documents inside its `srcdoc`
 * frames. Throws `too_large` for pages that are built to be costly.
 */
export function readTags(html: string): Tag[] {
  const tags: Tag[] = [];
  collect(html, tags, 0);
  return tags;
}

function collect(html: string, tags: Tag[], framesDeep: number): void {
  const from = tags.length;
  let depth = 0;
  parse(html, {
    treeAdapter: {
      ...defaultTreeAdapter,
      createElement(name, namespace, attributes): DefaultTreeAdapterTypes.Element {
        tags.push({ name: name.toLowerCase(), attributes: asMap(attributes) });
        if (tags.length > maxElements) throw tooCostly(`more than ${maxElements} elements`);
        return defaultTreeAdapter.createElement(name, namespace, attributes);
      },
      onItemPush() {
        if (++depth > maxDepth) throw tooCostly(`elements nested more than ${maxDepth} deep`);
      },
      onItemPop() {
        depth--;
      },
    },
  });
  if (framesDeep === maxFramesDeep) return;
  for (const { name, attributes } of tags.slice(from)) {
    const inner = name === "iframe" ? attributes.get("srcdoc") : undefined;
    if (inner !== undefined) collect(inner, tags, framesDeep + 1);
  }
}

function asMap(attributes: Token.Attribute[]): Map<string, string> {
  return new Map(attributes.map(({ name, value }) => [name.toLowerCase(), value]));
}

function tooCostly(what: string): LookError {
  return new LookError("too_large", `the page has ${what}`);
}
