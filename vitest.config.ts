import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{contracts,runtime,modules,services,cli,tests,ui/src}/**/*.test.ts"],
    globalSetup: ["tests/support/global-setup.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
