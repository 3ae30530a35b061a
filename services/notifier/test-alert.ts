import type { Channel } from "./route.ts";
import { channelsOf } from "./route.ts";
import { sendTo } from "./send.ts";
import type { NotifySettings, ReadSecret } from "./send.ts";
import { testEvent } from "./test-event.ts";
import { webhookAgent } from "./webhook.ts";

export interface TestResult {
  route: string;
  channel: Channel;
  isDelivered: boolean;
  /** What the receiver answered, or why it could not be reached. */
  detail: string;
}

/**
 * Sends a clearly marked test event once to each channel of each route, or of the one named, and says what came of
 * it. No results: there is no such route. Nothing is tried again, nothing enters the delivery log.
 */
export async function sendTest(
  notify: NotifySettings,
  readSecret: ReadSecret,
  options: { route?: string } = {},
): Promise<TestResult[]> {
  const routes = notify.routes.filter((route) => options.route === undefined || route.name === options.route);
  const agent = webhookAgent();
  try {
    return await Promise.all(
      routes.flatMap(channelsOf).map(async (destination) => {
        const { name } = destination.route;
        const { state, detail } = await sendTo(testEvent(name), destination, { notify, readSecret, agent });
        return { route: name, channel: destination.channel, isDelivered: state === "delivered", detail };
      }),
    );
  } finally {
    await agent.close();
  }
}
