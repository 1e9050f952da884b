import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./page.css";
import { App } from "./App";
import { Unreachable } from "./session/problems";
import { theme } from "./theme";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // Only what may pass by itself is asked again: one of the programs may be restarting.
      retry: (failures, error) => error instanceof Unreachable && failures < 3,
      retryDelay: (failures) => 700 * 2 ** failures,
      refetchOnWindowFocus: false,
      // The session is often reached where the browser believes that there is no internet.
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <QueryClientProvider client={queries}>
        <Notifications position="bottom-left" containerWidth={340} />
        <App />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
