import { connect } from "@nats-io/transport-node";
import { ChangeEvent } from "#contracts/messages.ts";
import { permissionBlock } from "../../cli/outside-users.ts";
import type { World } from "./world.ts";

const name = "siem";
const password = "p-siem-password";

/** A user such as `paintdry user add siem` makes; `block` goes into the permission file. */
export const outsideUser = {
  block: permissionBlock({ kind: "subscriber", name, subjects: ["paintdry.change.>"] }, password),
};

export interface Outsider {
  /** All that came, repeats among them. */
  events: { subject: string; event: ChangeEvent }[];
  close(): Promise<void>;
}

/** A plain subscription, as an outside system makes it with any NATS client. */
export async function subscribeOutside(world: World, subject: string): Promise<Outsider> {
  const nc = await connect({ servers: `127.0.0.1:${world.nats.port}`, user: name, pass: password });
  const events: Outsider["events"] = [];
  nc.subscribe(subject, {
    callback: (error, message) => {
      if (error) throw error;
      events.push({ subject: message.subject, event: ChangeEvent.parse(message.json()) });
    },
  });
  await nc.flush();
  return { events, close: async () => await nc.close() };
}
