import { families } from './families.js'

// One family, in this process: `child.js <name> <effort as JSON>`, the rows by IPC.
const [name = '', effort = '{}'] = process.argv.slice(2)
const family = families[name]
if (family === undefined) throw new Error(`No measure is called ${name}; there are ${Object.keys(families).join(', ')}`)
const rows = await family(JSON.parse(effort))
process.send?.(rows, () => process.exit())
