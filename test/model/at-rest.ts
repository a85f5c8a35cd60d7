import type { TopicPartition } from 'millrace'
import { keyOf, listed, type Member, type Term } from './reference.js'
import { maxPollMs, type World, whyNotReady, whyNotSettled } from './world.js'

/** What must hold whenever nothing moves by itself any more: between two steps of a schedule. */
export function checkAtRest(world: World): void {
  const { members } = world.ref
  for (const member of members) if (member.phase !== 'gone') checkPositions(world, member)
  checkViews(world)
  if (!world.opened.immediate) return
  checkOffsets(world)
  const moving = checkMoves(world)
  for (const member of members) if (member.phase !== 'gone') checkMember(world, member, moving)
  checkAwaited(world)
}

/** A position that has become known is the right one, and stays what the model has. */
function checkPositions(world: World, member: Member): void {
  const { ref } = world
  for (const term of member.terms.values()) {
    const seen = member.api.position(term.topic, term.partition)
    if (seen === undefined) {
      if (term.pos !== undefined) world.fail(`23: ${keyOf(term)} of ${member.name} has no position; ${term.pos} is due`)
    } else if (term.pos === undefined) ref.adopt(term, seen)
    else if (member.running === undefined) {
      if (seen !== term.pos)
        world.fail(`1.0: ${keyOf(term)} of ${member.name} stands at ${seen} instead of ${term.pos}`)
    } else checkPositionInRun(world, member, term, seen)
  }
}
/** With nothing at work and nothing failed, it stands at the first unfinished record. */
function checkPositionInRun(world: World, member: Member, term: Term, seen: number): void {
  const { window } = term
  if (window === undefined || world.ref.busy(member) || window.gone.size > 0) return
  if ([...window.entries.values()].some(({ state }) => state === 'failed')) return
  // Several handlers: what has been read ahead for them counts as begun.
  if (member.running!.concurrency > 1 ? seen < window.low : seen !== Math.max(window.low, term.pos!))
    world.fail(`1.0: ${keyOf(term)} of ${member.name} stands at ${seen} instead of ${window.low}, with nothing at work`)
}

/** Never two owners; the group and its consumers agree on who owns what (rule 1), and on the generation (rule 3). */
function checkViews(world: World): void {
  const { ref, group } = world
  const owned = ref.members.flatMap(({ phase, api }) => (phase === 'gone' ? [] : api.assignment.map(keyOf)))
  if (new Set(owned).size < owned.length) world.fail(`1: a partition has two owners: ${owned.sort().join(' ')}`)
  if (group.generation !== ref.generation)
    world.fail(`3: generation ${group.generation}, by the rules it is ${ref.generation}`)
  const members = group.members
  for (const member of ref.members) {
    if (member.phase !== 'live') continue
    const entry = members.find(({ memberId }) => memberId === member.api.memberId)
    if (entry === undefined) {
      // The seat of a static member that is closing may be taken by its successor already.
      if (!(member.closing && member.instanceId !== undefined)) world.fail(`1: ${member.name} is not listed`)
    } else if (listed(entry.assignment) !== listed(member.api.assignment))
      world.fail(`1: the group has ${listed(entry.assignment)} for ${member.name}: ${listed(member.api.assignment)}`)
  }
  for (const { memberId, assignment } of members) {
    const member = ref.members.find(({ api }) => api.memberId === memberId)
    if (member?.phase === 'live') continue
    const seat = ref.slots.some(slot => slot.memberId === memberId)
    if (!seat || assignment.length > 0) world.fail(`1: ${memberId} is listed with ${listed(assignment)}`)
  }
}

/** Nothing is committed but by the commits that were seen and judged. */
function checkOffsets(world: World): void {
  const { ref, group } = world
  for (const log of ref.allLogs()) {
    const committed = group.committed(log.topic, log.partition)
    const expected = ref.committed.get(keyOf(log))
    if (committed !== expected) world.fail(`30: ${keyOf(log)} is committed at ${committed} instead of ${expected}`)
  }
  if (group.lag() !== ref.lag) world.fail(`lag: it is ${group.lag()} instead of ${ref.lag}`)
}

/** Everything is where it belongs, or on its way for a reason (rules 4, 5, 9, 10, 13). */
function checkMoves(world: World): ReadonlySet<string> {
  const { ref, group } = world
  const moves = new Map(group.moves.map(move => [keyOf(move), move]))
  for (const log of ref.allLogs()) {
    const key = keyOf(log)
    const term = ref.owners.get(key)
    const slot = ref.targetOf(log)
    const move = moves.get(key)
    moves.delete(key)
    if (term === undefined) {
      if (slot?.occupant !== undefined) world.fail(`4: ${key} is free, and not given to ${slot.memberId}`)
      if (move !== undefined) world.fail(`9: ${key} is listed as moving, but nobody owns it`)
    } else if (slot !== undefined && slot.occupant === term.member) {
      if (move !== undefined) world.fail(`9: ${key} is listed as moving, but is where it belongs`)
    } else if (move === undefined) world.fail(`9: ${key} of ${term.member.name} belongs to ${slot?.memberId}: no move`)
    else checkMove(world, term, move, slot?.memberId)
  }
  if (moves.size > 0) world.fail(`9: listed as moving: ${[...moves.keys()]}`)
  return new Set(group.moves.map(keyOf))
}
function checkMove(
  world: World,
  term: Term,
  move: TopicPartition & { from: string; to: string | undefined; waitingFor: string },
  to: string | undefined,
): void {
  const { ref } = world
  const { member } = term
  const key = keyOf(term)
  if (move.from !== member.api.memberId || move.to !== to)
    world.fail(`9: ${key} moves from ${member.name} to ${to}, listed: ${move.from} to ${move.to}`)
  const held = member.listens.revoked ? ref.busy(member) : ref.holds(term)
  if (ref.lingers(member)) return
  const records = held && member.callback === undefined
  if (!records && member.callback === undefined)
    world.fail(`10: ${key} does not leave ${member.name}; nothing holds it`)
  else if (move.waitingFor !== (records ? 'records' : 'callback'))
    world.fail(`9: ${key} waits for ${move.waitingFor} of ${member.name}; held: ${held}`)
}

/** Nobody waits for what is there. */
function checkMember(world: World, member: Member, moving: ReadonlySet<string>): void {
  const { ref } = world
  const { name, api, activity } = member
  if (member.phase === 'expelled' || member.phase === 'fenced') {
    if (api.assignment.length > 0) world.fail(`40: ${name} is ${member.phase} and owns ${listed(api.assignment)}`)
  }
  if (member.callback !== undefined) return checkInterval(world, member)
  const atWork = member.running?.inFlight.size ?? 0
  if (member.closing) {
    if (atWork === 0) world.fail(`50: ${name} does not leave; nothing is in its way`)
    return
  }
  checkInterval(world, member)
  if (atWork === 0 && member.pendingLost.some(term => term.announced) && activity !== undefined)
    world.fail(`19: ${name} has come back, and its onLost is not called`)
  if (member.phase === 'expelled' && activity !== undefined && atWork === 0)
    world.fail(`40: ${name} waits in ${activity}, and does not rejoin`)
  if (member.phase !== 'live') return
  if (member.running !== undefined && member.running.fatal.length > 0)
    world.fail(`47: a handler of ${name} has failed for good, and it does not close`)
  if (!ref.busy(member)) {
    if (member.welcome) world.fail(`17: ${name} has joined, and its onAssigned is not called`)
    for (const term of member.terms.values()) {
      if (term.unseen && !moving.has(keyOf(term))) term.announced = true
      else if (!moving.has(keyOf(term)) && !term.announced) world.fail(`17: ${name} is not told of ${keyOf(term)}`)
    }
  }
  if (activity !== undefined) checkServed(world, member, moving)
}

function checkInterval(world: World, member: Member): void {
  if (member.phase !== 'live' || member.closing) return
  const since = world.since(member)
  if (since !== undefined && world.clock.now() - since >= maxPollMs)
    world.fail(`21: ${member.name} has not come back for ${world.clock.now() - since} ms, and is not expelled`)
}

/** A waiting poll, step or run() has been given what there is; what it has come back from is committed in time. */
function checkServed(world: World, member: Member, moving: ReadonlySet<string>): void {
  const { activity, running, name } = member
  const terms = [...member.terms.values()]
  const { intervalMs } = world.ref.rules
  if (activity !== 'run' && world.clock.now() > Math.max(member.lastBack, member.quietSince) + intervalMs)
    for (const term of terms) if (term.pos !== undefined) world.ref.expectCommitted(term, '33b')
  // A callback is due, and waits for what is in hand.
  if (world.ref.busy(member) && terms.some(term => !term.announced && !moving.has(keyOf(term)))) return
  if (member.listens.revoked && [...member.terms.keys()].some(key => moving.has(key))) return
  for (const term of member.terms.values()) {
    const key = keyOf(term)
    if (!(term.announced || term.unseen) || term.assigning || term.paused || moving.has(key)) continue
    if (term.pos === undefined) {
      const full = running !== undefined && running.inFlight.size >= running.concurrency
      if (!full) world.fail(`36: ${name} waits in ${activity}, and ${key} has no position`)
    } else if (activity !== 'run') {
      if (term.pos < term.log.end) world.fail(`37: ${name} waits in ${activity} although ${key}@${term.pos} is there`)
    } else if (running!.inFlight.size < running!.concurrency) {
      const next = startable(member, term)
      if (next !== undefined) world.fail(`43: ${name} has a handler free, and ${key}@${next} is not started`)
    }
  }
}

/** What a free handler is to be given: the first record of a key with nothing before it. */
function startable(member: Member, term: Term): number | undefined {
  const { concurrency, backoffMs } = member.running!
  const { window, log } = term
  if (window === undefined) {
    const detached = [...member.running!.inFlight].some(call => call.term === term)
    return detached || term.pos! >= log.end ? undefined : term.pos
  }
  const blocked = new Set<string>()
  for (let offset = window.base; offset < log.end; offset++) {
    const entry = window.entries.get(offset)
    const lane = concurrency === 1 ? '' : (log.records[offset]!.key ?? '(none)')
    if (entry === undefined) {
      if (offset >= log.start && !blocked.has(lane)) return offset
    } else if (entry.state === 'working') blocked.add(lane)
    else if (entry.state === 'failed') {
      if (backoffMs === 0 && !blocked.has(lane)) return offset
      blocked.add(lane)
    }
  }
  return undefined
}

/** An await whose condition holds is over. */
function checkAwaited(world: World): void {
  const { ref } = world
  for (const { what, done, member, ends } of world.awaited) {
    if (done) continue
    if (what === 'ready') {
      const unseen = [...member!.terms.values()].some(term => term.unseen && !term.announced)
      if (whyNotReady(ref, member!) === undefined && !unseen) world.fail(`55: ready() of ${member!.name} hangs`)
      if (member!.phase !== 'live' || member!.closing) world.fail(`55: ready() of ${member!.name} hangs, who is out`)
    } else if (ref.unsure) continue
    else if (what === 'settled') {
      if (!ref.retries && whyNotSettled(ref) === undefined) world.fail('58: settled() hangs')
    } else if (ends!.every(([log, end]) => ref.finishedTo(log, end))) world.fail('56: caughtUp() hangs')
    else if (ends!.some(([log, end]) => !ref.finishedTo(log, end) && !ref.targetOf(log)?.occupant))
      world.fail('57: caughtUp() hangs, for what nobody reads')
  }
}
