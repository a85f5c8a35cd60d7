import { met, type Row } from './measure.js'

export function show(value: number, unit: string): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
  return unit === 'x' ? `${value.toFixed(digits)}x` : `${value.toFixed(digits)} ${unit}`
}

const verdict = (row: Row): string => ({ true: 'met', false: 'not met', undefined: '' })[String(met(row))]!

/** One line for a row, as wide as it needs. */
export function line(row: Row): string {
  const { value, unit, spread, measure, aim, note } = row
  const around = spread === undefined ? '' : ` (${spread.map(end => show(end, unit)).join(' to ')})`
  const figure = `${show(value, unit)}${around}`
  const head = `${figure.padEnd(26)} ${(aim?.text ?? '').padEnd(20)} ${verdict(row).padEnd(8)} ${measure}`
  const bars = row.bars.map(bar => `    ${show(bar.value, bar.unit).padEnd(22)} ${bar.label}`)
  return [head, ...(note === undefined ? [] : [`    ${note}`]), ...bars].join('\n')
}

/** The table in Markdown. */
export function markdown(rows: readonly Row[]): string {
  const cells = rows.map(row => [row.measure, row.aim?.text ?? '', show(row.value, row.unit), verdict(row)])
  return [['measure', 'aim', 'measured', ''], ['---', '---', '---', '---'], ...cells]
    .map(row => `| ${row.join(' | ')} |`)
    .join('\n')
}
