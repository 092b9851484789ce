-- Sends the requests of a file in turn, each with an id that no other has. It reads no answer.
-- Arguments: the file, the first request, the first id, and "kept" if each thread sends one of them
-- alone, over all its connections.

local made, requests, turn, id, step = 0, {}, 0, 0, 1

function setup(thread)
  thread:set("number", made)
  made = made + 1
end

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  for length in file:lines() do
    local request = file:read(tonumber(length))
    local from, to = request:find('"id":%d+')
    table.insert(requests, { request:sub(1, from + 4), request:sub(to + 1) })
  end
  file:close()
  turn = tonumber(arguments[2]) + number
  id = tonumber(arguments[3]) + number * 1000000
  if arguments[4] == "kept" then step = 0 end
end

function request()
  local parts = requests[turn % #requests + 1]
  turn, id = turn + step, id + 1
  return parts[1] .. string.format("%d", id) .. parts[2]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "bytes": %d, "lost": %d, "refused": %d, "p50": %f, "p99": %f}\n',
    summary.requests, summary.duration, summary.bytes, errors.connect + errors.read + errors.write
    + errors.timeout, errors.status, latency:percentile(50), latency:percentile(99)))
end
