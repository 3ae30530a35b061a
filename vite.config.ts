import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

const gateway = process.env["PAINTDRY_GATEWAY"] ?? "http://127.0.0.1:8080";

/** The UI: static files in ui/dist that hold under the gateway's strict content security policy. */
export default defineConfig({
  root: "ui",
  plugins: [svelte({ configFile: false })],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2023",
    // These have `light-dark()`, in which each colour is told once for both themes.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // `data:` URLs and inline scripts are what the policy forbids.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { "/api": { target: gateway, ws: true } } },
});
