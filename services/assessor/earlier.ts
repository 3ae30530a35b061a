import { JetStreamApiError } from "@nats-io/jetstream";
import type { StoredMsg } from "@nats-io/jetstream";
import { Outcome } from "#contracts/messages.ts";
import { streams } from "#contracts/subjects.ts";
import type { Broker } from "#runtime/broker.ts";
import { decode } from "#runtime/codec.ts";
import { MalformedMessageError } from "#runtime/errors.ts";
import type { Delivery } from "#runtime/settle.ts";

/** The outcomes of the same resource that came before a message and have not been acknowledged, oldest first. */
export async function* readEarlier(
  { subject, sequence }: Pick<Delivery, "subject" | "sequence">,
  broker: Pick<Broker, "jsm">,
): AsyncGenerator<Outcome> {
  for (let from = 1; ;) {
    const message = await readNext(broker, subject, from);
    if (message === null || message.seq >= sequence) return;
    const outcome = readOutcome(message);
    if (outcome !== null) yield outcome;
    from = message.seq + 1;
  }
}

async function readNext({ jsm }: Pick<Broker, "jsm">, subject: string, from: number): Promise<StoredMsg | null> {
  try {
    return await jsm.direct.getMessage(streams.observations, { seq: from, next_by_subj: subject });
  } catch (error) {
    if (error instanceof JetStreamApiError && error.status === 404) return null;
    throw error;
  }
}

/** One that cannot be read is rejected by whoever it was delivered to. */
function readOutcome(message: StoredMsg): Outcome | null {
  try {
    return decode({ data: message.data, headers: message.header }, Outcome);
  } catch (error) {
    if (error instanceof MalformedMessageError) return null;
    throw error;
  }
}
