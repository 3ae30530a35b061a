import { v7 } from "uuid";

/** A clearly marked event that says only that alerts arrive; nothing has changed. */
export interface TestEvent {
  specversion: "1.0";
  id: string;
  source: "/paintdry";
  type: "io.paintdry.test.v1";
  subject: "test";
  time: string;
  datacontenttype: "application/json";
  data: { route: string; reason: string };
}

export function testEvent(route: string): TestEvent {
  return {
    specversion: "1.0",
    id: v7(),
    source: "/paintdry",
    type: "io.paintdry.test.v1",
    subject: "test",
    time: new Date().toISOString(),
    datacontenttype: "application/json",
    data: { route, reason: "This is a test alert. Nothing has changed; alerts on this route arrive." },
  };
}
