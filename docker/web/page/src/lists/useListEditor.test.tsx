import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as api from "../services/api";
import type { ListBody, ProcessList } from "../services/types";
import { Problem } from "../session/problems";
import { setValue, type Draft } from "./draft";
import { findUnsaved } from "./unsaved";
import { useListEditor } from "./useListEditor";

vi.mock("../services/api");

const FILE = "/v/processing/list.nxs";

function listWith(value: string): ProcessList {
  return {
    filename: FILE,
    engines: [],
    plugins: [
      {
        name: "VoCentering",
        pos: "1",
        id: "savu.plugins.centering.vo_centering",
        active: true,
        known: true,
        parameters: [{ name: "ratio", value, visibility: "basic" }],
      },
    ],
  };
}

function answerTo(body: ListBody): ProcessList {
  return listWith(body.plugins[0]?.parameters[0]?.value ?? "");
}

function open(value = "0.5", etag: string | null = '"1"') {
  const client = new QueryClient();
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={client}>{children}</QueryClientProvider>
  );
  // One object, as the cache holds one: a new one means that the file was read again.
  const base = { list: listWith(value), etag };
  return renderHook(() => useListEditor(FILE, base), { wrapper });
}

function type(value: string) {
  return (draft: Draft) => setValue(draft, draft.selected ?? "", "ratio", value);
}

function shown(draft: Draft) {
  return draft.steps[0]?.parameters[0]?.value;
}

beforeEach(() => {
  localStorage.clear();
  vi.mocked(api.saveList).mockReset();
});
afterEach(cleanup);

describe("unsaved edits", () => {
  test("are kept while there are any, and only then", () => {
    const { result } = open();
    expect(findUnsaved(FILE)).toBeNull();
    act(() => result.current.change(type("0.7")));
    expect(result.current.dirty).toBe(true);
    expect(findUnsaved(FILE)?.etag).toBe('"1"');
    act(() => result.current.change(type("0.5")));
    expect(result.current.dirty).toBe(false);
    expect(findUnsaved(FILE)).toBeNull();
  });

  test("come back in another page, and are said to", () => {
    const first = open();
    act(() => first.result.current.change(type("0.7")));
    first.unmount();
    const { result } = open();
    expect(shown(result.current.draft)).toBe("0.7");
    expect(result.current.dirty).toBe(true);
    expect(result.current.restored).not.toBeNull();
  });

  test("made to an older version are saved against that version", async () => {
    const first = open("0.5", '"1"');
    act(() => first.result.current.change(type("0.7")));
    first.unmount();
    const { result } = open("0.6", '"2"');
    vi.mocked(api.saveList).mockRejectedValue(new Problem("Saving", 412, {}));
    await expect(act(() => result.current.save())).resolves.toBe("conflict");
    expect(api.saveList).toHaveBeenCalledWith(FILE, expect.anything(), '"1"');
    expect(shown(result.current.draft)).toBe("0.7");
  });

  test("of another person on the same browser are not shown", () => {
    const { result } = open();
    act(() => result.current.change(type("0.7")));
    const [key] = Object.keys(localStorage);
    expect(key).toContain("/user/ada/");
  });
});

describe("saving", () => {
  test("writes what is shown, and then nothing is unsaved", async () => {
    const { result } = open();
    vi.mocked(api.saveList).mockImplementation((_file, body) =>
      Promise.resolve({ list: answerTo(body), etag: '"2"' }),
    );
    act(() => result.current.change(type("0.7")));
    await expect(act(() => result.current.save())).resolves.toBe("saved");
    expect(result.current.dirty).toBe(false);
    expect(shown(result.current.draft)).toBe("0.7");
    act(() => result.current.change(type("0.8")));
    await act(() => result.current.save());
    expect(api.saveList).toHaveBeenLastCalledWith(FILE, expect.anything(), '"2"');
  });

  test("twice at once is no conflict with oneself", async () => {
    const { result } = open();
    let answer = () => undefined as void;
    vi.mocked(api.saveList).mockImplementation(
      (_file, body) =>
        new Promise((resolve) => {
          answer = () => resolve({ list: answerTo(body), etag: '"2"' });
        }),
    );
    act(() => result.current.change(type("0.7")));
    const both = [result.current.save(), result.current.save()];
    await vi.waitFor(() => expect(api.saveList).toHaveBeenCalled());
    await act(async () => {
      answer();
      await expect(Promise.all(both)).resolves.toEqual(["saved", "saved"]);
    });
    expect(api.saveList).toHaveBeenCalledTimes(1);
  });

  test("keeps what is typed meanwhile, and saves it over its own version", async () => {
    const { result } = open();
    let answer = () => undefined as void;
    vi.mocked(api.saveList).mockImplementationOnce(
      (_file, body) =>
        new Promise((resolve) => {
          answer = () => resolve({ list: answerTo(body), etag: '"2"' });
        }),
    );
    act(() => result.current.change(type("0.7")));
    const first = result.current.save();
    await vi.waitFor(() => expect(api.saveList).toHaveBeenCalled());
    act(() => result.current.change(type("0.8")));
    const second = result.current.save();
    vi.mocked(api.saveList).mockImplementation((_file, body) =>
      Promise.resolve({ list: answerTo(body), etag: '"3"' }),
    );
    await act(async () => {
      answer();
      await Promise.all([first, second]);
    });
    expect(api.saveList).toHaveBeenLastCalledWith(FILE, expect.anything(), '"2"');
    expect(shown(result.current.draft)).toBe("0.8");
    expect(result.current.dirty).toBe(false);
  });

  test("over somebody else's changes happens only when asked for", async () => {
    const { result } = open();
    vi.mocked(api.saveList).mockImplementation((_file, body) =>
      Promise.resolve({ list: answerTo(body), etag: '"3"' }),
    );
    act(() => result.current.change(type("0.7")));
    await act(() => result.current.save({ overwrite: true }));
    expect(api.saveList).toHaveBeenLastCalledWith(FILE, expect.anything(), null);
  });

  test("leaves the edits where they are when it fails", async () => {
    const { result } = open();
    vi.mocked(api.saveList).mockRejectedValue(new Problem("Saving", 507, { detail: "Full." }));
    act(() => result.current.change(type("0.7")));
    await expect(act(() => result.current.save())).rejects.toThrow("Full.");
    expect(result.current.dirty).toBe(true);
    expect(findUnsaved(FILE)).not.toBeNull();
  });
});

describe("the other side", () => {
  test("is noticed before a run", async () => {
    const { result } = open("0.5", '"1"');
    vi.mocked(api.getList).mockResolvedValue({ list: listWith("0.9"), etag: '"2"' });
    await expect(result.current.isCurrent()).resolves.toBe(false);
    await act(() => result.current.reload());
    expect(shown(result.current.draft)).toBe("0.9");
    await expect(result.current.isCurrent()).resolves.toBe(true);
  });
});
