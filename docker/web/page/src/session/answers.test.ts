import { describe, expect, test } from "vitest";
import { classify, type AnswerFacts } from "./answers";

const BASE = "http://hub.test/user/ada/lab/?view=data";

function verdict(facts: Partial<AnswerFacts>) {
  return classify({ status: 200, url: "", contentType: "application/json", ...facts }, BASE);
}

describe("an answer", () => {
  test("of a service is an answer, whatever its status", () => {
    const url = "http://hub.test/user/ada/lab/api/files?path=/x";
    expect(verdict({ url })).toBe("answered");
    const contentType = "application/problem+json";
    expect(verdict({ url, status: 404, contentType })).toBe("answered");
    expect(verdict({ url, status: 503, contentType })).toBe("answered");
  });

  test("after a redirect to the hub means that the session is gone", () => {
    const url = "http://hub.test/hub/user/ada/lab/api/files";
    expect(verdict({ url, contentType: "text/html" })).toBe("gone");
    expect(verdict({ url: "http://hub.test/user/ada/labour/x" })).toBe("gone");
    expect(verdict({ url: "http://elsewhere.test/user/ada/lab/x" })).toBe("gone");
  });

  test("424 is JupyterHub's word for a server that is not running", () => {
    expect(verdict({ status: 424 })).toBe("gone");
  });

  test("401 asks for a login", () => {
    expect(verdict({ status: 401, contentType: "application/problem+json" })).toBe("login");
  });

  test("a page of the proxy with 502, 503 or 504 may pass by itself", () => {
    expect(verdict({ status: 503, contentType: "text/html" })).toBe("unreachable");
    expect(verdict({ status: 504, contentType: "text/plain" })).toBe("unreachable");
  });

  test("HTML is nothing that a service says", () => {
    expect(verdict({ status: 404, contentType: "text/html; charset=utf-8" })).toBe("foreign");
    expect(verdict({ contentType: "text/html" })).toBe("foreign");
  });
});
