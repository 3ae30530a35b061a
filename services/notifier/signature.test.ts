import { describe, expect, it } from "vitest";
import { signatureHeader } from "./signature.ts";

// The example of the specification's reference libraries.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const signed = {
  id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
  timestamp: 1614265330,
  body: Buffer.from('{"test": 2432232314}'),
};

describe("signature", () => {
  it("is that of the Standard Webhooks reference example", () => {
    expect(signatureHeader(secret, signed)).toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  });

  it("takes a secret that is not whsec_ as it stands", () => {
    const bytes = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    const asBase64 = `whsec_${bytes.toString("base64")}`;
    expect(signatureHeader(bytes.toString(), signed)).toBe(signatureHeader(asBase64, signed));
  });

  it("is made once with each line of the secret, for a change of keys", () => {
    const [first, second, ...more] = signatureHeader(`new-key\n${secret}\n`, signed).split(" ");
    expect(first).toBe(signatureHeader("new-key", signed));
    expect(second).toBe(signatureHeader(secret, signed));
    expect(more).toEqual([]);
  });

  it.each([["whsec_not base64!"], ["whsec_"], [""], ["\n"]])("refuses the secret %j and does not show it", (bad) => {
    let message = "";
    try {
      signatureHeader(bad, signed);
    } catch (error) {
      message = String(error);
    }
    expect(message).toMatch(/secret of a webhook/);
    expect(message).not.toContain("not base64!");
  });
});
