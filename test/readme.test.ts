import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as millrace from 'millrace'
import * as kafka from 'millrace/kafka'
import * as streams from 'millrace/streams'
import * as testing from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { describeDocument, root } from './markdown-programs.js'

const readme = readFileSync(join(root, 'README.md'), 'utf8')
const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
const { scripts, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
  version: string
}

describe('the README', () => {
  describeDocument('README.md')

  test('names only commands that there are', () => {
    const ofNpm = new Set(['ci', 'install', 'pack'])
    const commands = [...readme.matchAll(/\bnpm (?:run )?([a-z:]+)/g)].map(([, name]) => name!)
    expect(commands).toContain('start')
    expect(commands.filter(name => !ofNpm.has(name) && scripts[name] === undefined)).toEqual([])
  })

  test('sets up and runs, sets up and tests, with two commands', () => {
    expect(readme).toMatch(/^npm ci && npm start\b/m)
    expect(readme).toMatch(/^npm ci && npm test\b/m)
  })

  test('names everything that the entry points export', () => {
    const names = [millrace, testing, streams, kafka].flatMap(entry => Object.keys(entry))
    expect(names.filter(name => !new RegExp(`\\b${name}\\b`).test(readme))).toEqual([])
  })
})

test('the CHANGELOG has an entry for this version', () => {
  expect(changelog).toMatch(new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\]`, 'm'))
})
