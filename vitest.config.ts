import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string): string => fileURLToPath(new URL(`src/${path}`, import.meta.url))

export default defineConfig({
  resolve: { alias: { 'millrace/testing': source('testing/index.ts'), millrace: source('index.ts') } },
  test: { include: ['test/**/*.test.ts'], testTimeout: 20_000 },
})
