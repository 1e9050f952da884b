import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Where `npm run dev` finds running services; each is unix:PATH or http://host:port. */
function upstream(name: string, fallback: string) {
  const address = process.env[name] ?? fallback;
  return address.startsWith("unix:")
    ? { socketPath: address.slice("unix:".length), host: "localhost", port: 80 }
    : address;
}

export default defineConfig({
  // The page is served below a prefix that it does not know when it is built.
  base: "./",
  plugins: [react()],
  build: {
    outDir: "../savu_web/page",
    emptyOutDir: true,
    target: "es2022",
    chunkSizeWarningLimit: 2000,
  },
  server: {
    host: "127.0.0.1",
    proxy: {
      "/api": {
        target: upstream("API_UPSTREAM", "http://127.0.0.1:5000"),
        rewrite: (path) => path.slice("/api".length),
      },
      "/data": {
        target: upstream("DATASERVER_UPSTREAM", "http://127.0.0.1:8080"),
        rewrite: (path) => path.slice("/data".length),
      },
    },
  },
  test: {
    environment: "jsdom",
    environmentOptions: { jsdom: { url: "http://hub.test/user/ada/" } },
    include: ["src/**/*.test.{ts,tsx}"],
    restoreMocks: true,
  },
});
