import { useQuery } from "@tanstack/react-query";
import { createContext, useContext, useSyncExternalStore } from "react";
import { getSession } from "../services/api";
import type { Session } from "../services/types";
import { monitor, type SessionState } from "./monitor";
import { placeFromPath, type SessionPlace } from "./place";

export function useSessionQuery() {
  return useQuery({
    queryKey: ["session"],
    queryFn: ({ signal }) => getSession(signal),
    staleTime: Infinity,
  });
}

export const SessionContext = createContext<Session | null>(null);

/** Only below the provider: the page shows nothing else before the session has said who it is. */
export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("useSession outside of its provider");
  return session;
}

export function useSessionState(): SessionState {
  return useSyncExternalStore(monitor.subscribe, monitor.getState);
}

export function placeOf(session: Session | undefined): SessionPlace {
  const guess = placeFromPath(window.location.pathname);
  if (!session) return guess;
  return { hub: session.hub_url, user: session.user || guess.user, server: session.server };
}
