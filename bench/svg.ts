import { type Bar, met, type Row } from './measure.js'
import { show } from './table.js'

const columns = 2
const panelWidth = 640
const labelWidth = 250
const barHeight = 18
const gap = 28
const margin = 24
const titleLines = 3

const colours = {
  ours: '#1f6feb',
  peer: '#9aa4b2',
  met: '#1a7f37',
  missed: '#bc4c00',
  text: '#1f2328',
  faint: '#656d76',
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

interface TextStyle {
  readonly size?: number
  readonly colour?: string
  readonly anchor?: 'start' | 'end'
  readonly weight?: number
}
function text(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { size = 12, colour = colours.text, anchor = 'start', weight = 400 } = style
  return `<text x="${x}" y="${y}" font-size="${size}" fill="${colour}" text-anchor="${anchor}" font-weight="${weight}">${escaped(content)}</text>`
}

/** In lines of so many characters. */
function wrapped(content: string, width: number): string[] {
  const lines = ['']
  for (const word of content.split(' ')) {
    const last = lines.at(-1)!
    if (last.length + word.length + 1 > width && last !== '') lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines
}

const heightOf = ({ bars }: Row): number => titleLines * 16 + 22 + bars.length * (barHeight + 4) + gap

function barOf(bar: Bar, y: number, longest: number): string {
  const room = panelWidth - labelWidth - 130
  const width = Math.max(1, (bar.value / longest) * room)
  const label = bar.label.length > 42 ? `${bar.label.slice(0, 41)}…` : bar.label
  return [
    text(labelWidth - 8, y + 13, label, { anchor: 'end', size: 11 }),
    `<rect x="${labelWidth}" y="${y}" width="${width.toFixed(1)}" height="${barHeight}" rx="2" fill="${bar.ours ? colours.ours : colours.peer}"/>`,
    text(labelWidth + width + 6, y + 13, show(bar.value, bar.unit), { size: 11, colour: colours.faint }),
  ].join('\n')
}

function panel(row: Row, x: number, y: number): string {
  const title = wrapped(row.measure.replaceAll('`', ''), 84).slice(0, titleLines)
  const verdict = met(row)
  const figure = `${show(row.value, row.unit)}${row.aim === undefined ? '' : `   aim ${row.aim.text}`}`
  const colour = verdict === undefined ? colours.text : verdict ? colours.met : colours.missed
  const longest = Math.max(...row.bars.map(({ value }) => value))
  const top = titleLines * 16 + 12
  return [
    `<g transform="translate(${x} ${y})">`,
    ...title.map((line, i) => text(0, 14 + i * 16, line, { size: 13, weight: 600 })),
    text(0, 14 + title.length * 16, figure, { colour, weight: 600 }),
    ...row.bars.map((bar, i) => barOf(bar, top + i * (barHeight + 4), longest)),
    '</g>',
  ].join('\n')
}

/** Bars for each row, ours and the peers side by side, in two columns. */
export function draw(rows: readonly Row[], caption: string): string {
  const heights = new Array<number>(columns).fill(margin + 30)
  const panels = rows.map(row => {
    const column = heights.indexOf(Math.min(...heights))
    const y = heights[column]!
    heights[column] = y + heightOf(row)
    return panel(row, margin + column * (panelWidth + margin), y)
  })
  const width = margin + columns * (panelWidth + margin)
  const height = Math.max(...heights)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="Helvetica, Arial, sans-serif">`,
    `<title>${escaped(caption)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(margin, margin + 6, caption, { colour: colours.faint }),
    ...panels,
    '</svg>',
    '',
  ].join('\n')
}
