import { LRUCache } from "lru-cache";
import { fingerprint } from "#contracts/canonical.ts";
import type { FingerprintedValue, Json } from "#contracts/canonical.ts";
import { standsFor } from "#contracts/messages.ts";
import type { Job, JobPosition, Report } from "#contracts/messages.ts";
import type { KnownValue, ModuleDefinition, PreviousValue } from "#contracts/module.ts";
import { resourceId } from "#contracts/subjects.ts";
import type { StoreClient } from "#runtime/rpc.ts";

/** What a look is compared with and handed. */
export interface Basis {
  isWatched: boolean;
  revision: number;
  previous: PreviousValue[];
  state: Json;
  known: KnownValue[];
  moduleVersion: number | null;
  optionsFingerprint: string | null;
  /** The newest job whose outcome was recorded, or published from here. */
  fence: JobPosition;
  /** Of `previous`. */
  fingerprint: string;
}

/** A discovery compares nothing. */
export const noBasis: Basis = {
  isWatched: true,
  revision: 0,
  previous: [],
  state: null,
  known: [],
  moduleVersion: null,
  optionsFingerprint: null,
  fence: { epoch: 0, sequence: 0 },
  fingerprint: fingerprint([]),
};

/** Values kept in memory over all resources. */
const maxValues = 500_000;
/** A basis is asked for again after so many looks, so that no disagreement with the store lasts. */
const maxUses = 20;

/**
 * The last known values of resources, in bounded memory: lanes are sticky, so mostly the fetcher that looks has made
 * the last look, and the job's revision says whether what it holds is still true.
 */
export function createBasisCache(store: StoreClient) {
  const cache = new LRUCache<string, { basis: Basis; uses: number }>({
    maxSize: maxValues,
    sizeCalculation: ({ basis }) => 10 + basis.previous.length,
  });
  return {
    /** `isFresh`: what is held may be behind, since the job was another fetcher's before. */
    async get(job: Job, definition: ModuleDefinition, isFresh: boolean): Promise<Basis> {
      const needs = definition.needs?.(job.resource) ?? [];
      const id = resourceId(job.module, job.resource);
      const held = cache.get(id);
      // Values of other resources have revisions of their own: always asked for.
      if (held && !isFresh && needs.length === 0 && held.basis.revision >= job.revision && held.uses < maxUses) {
        held.uses += 1;
        return held.basis;
      }
      const { module, resource } = job;
      const read = await store.call("read.look", { module, resource, needs });
      const basis = { ...read, fingerprint: fingerprint(read.previous) };
      // What was published from here may be on its way to the store yet.
      if (held && isNewer(held.basis.fence, basis.fence)) basis.fence = held.basis.fence;
      // What is not watched now may be in a moment, without a new revision.
      if (basis.isWatched) cache.set(id, { basis, uses: 1 });
      else cache.delete(id);
      return basis;
    },
    /** The outcome of a look is on its way: what an older job saw would come too late. */
    saveFence(job: Job, fence: JobPosition): void {
      const held = cache.get(resourceId(job.module, job.resource));
      if (held && isNewer(fence, held.basis.fence)) held.basis.fence = fence;
    },
    /** What the look saved without changing a value. */
    saveState(job: Job, basis: Basis, state: Json): void {
      const held = cache.get(resourceId(job.module, job.resource));
      if (held?.basis === basis) held.basis.state = state;
    },
  };
}

/**
 * Has a newer job of the resource been done, or this one itself? A job waits behind others of its host, or comes again
 * after a crash, while an urgent one passes it. A look made for it now would see today's values and be recorded as
 * one of the past.
 */
export function isOvertaken(job: JobPosition, { fence }: Basis): boolean {
  return !isNewer(job, fence);
}

function isNewer(job: JobPosition, fence: JobPosition): boolean {
  return job.epoch === fence.epoch ? job.sequence > fence.sequence : job.epoch > fence.epoch;
}

/** The fingerprint of the values a report leaves, if it leaves them all as they were; else null. */
export function unchangedFingerprint(basis: Basis, report: Report): string | null {
  if (report.happenings.length > 0 || basis.revision === 0) return null;
  return fingerprint(valuesAfter(basis, report)) === basis.fingerprint ? basis.fingerprint : null;
}

function valuesAfter(basis: Basis, { observations, unseen }: Report): FingerprintedValue[] {
  if (unseen.length === 0) return observations;
  const seen = new Set(observations.map(({ attribute }) => attribute));
  const kept = basis.previous.filter(
    ({ attribute }) => !seen.has(attribute) && unseen.some((name) => standsFor(name.attribute, attribute)),
  );
  return [...observations, ...kept];
}
