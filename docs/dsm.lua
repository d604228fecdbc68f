-- SPDX-License-Identifier: Apache-2.0
-- Wireshark shows dsm's datagrams with this: udp (docs/protocol.md section 5) and ADC boards
-- (docs/adc.md). Written from those byte tables alone, so that it is a second opinion on lib/wire.
--
--   tshark -X lua_script:docs/dsm.lua -r FILE -O dsm,dsm_adc
--   or copy it into the folder that Help > About > Folders names as "Personal Lua Plugins"
--
-- What a DATA holds is sealed and stays so. Who has the frames of one unsealed, as datagrams on a
-- port of their own, sees them by "Decode As" dsm_frames (-d udp.port==N,dsm_frames).

local MAGIC, VERSION, HEAD, INIT_BYTES, LONGEST, TAG = 0x4455, 1, 8, 1200, 1200, 16

-- ---- one datagram or frame as a list of fields ------------------------------------------------
-- A layout is read from its first byte to its last: { field, bytes }, in the order of the table.

local function values(names)
	local out = {}
	for number, name in ipairs(names) do
		out[number] = name
	end
	return out
end

local types = values { "INIT", "COOKIE", "RESP", "DATA", "REFUSE", "RESET" }
local frame_types = values { "SEGMENT", "ACK", "READ", "ANSWER", "ASK", "PULSE", "WAIT", "NOTIFY",
	"COMMITTED", "CLOSE", "PROVE", "SUBSCRIBE", "SUBSCRIBED", "UNSUBSCRIBE", "UPDATE", "UPDATED" }
local causes = values { "version", "key", "full", "ending" }
local kinds = values { "header and directory", "newest", "the slot of a seq", "newest up to a step",
	"newest seq only", "last complete step" }

local dsm = Proto("dsm", "Distributed shared memory over UDP")
local inside = Proto("dsm_frames", "Distributed shared memory, frames without their seal")
local adc = Proto("dsm_adc", "Distributed shared memory, ADC board")

local f = {
	magic = ProtoField.string("dsm.magic", "magic"),
	version = ProtoField.uint8("dsm.version", "version"),
	type = ProtoField.uint8("dsm.type", "type", base.DEC, types),
	name = ProtoField.uint32("dsm.name", "name of the receiver's side of the session"),
	key_id = ProtoField.bytes("dsm.key_id", "key id"),
	cookie = ProtoField.bytes("dsm.cookie", "cookie"),
	message = ProtoField.bytes("dsm.message", "Noise message"),
	flow = ProtoField.uint8("dsm.flow", "flow", base.DEC, { [0] = "control", [1] = "data" }, 0x80),
	counter = ProtoField.uint64("dsm.counter", "counter"),
	sealed = ProtoField.bytes("dsm.sealed", "sealed frames"),
	tag = ProtoField.bytes("dsm.tag", "tag"),
	cause = ProtoField.uint8("dsm.cause", "cause", base.DEC, causes),
	lowest = ProtoField.uint8("dsm.lowest", "lowest version"),
	highest = ProtoField.uint8("dsm.highest", "highest version"),
	frame = ProtoField.uint8("dsm.frame", "frame", base.DEC, frame_types),
	size = ProtoField.uint16("dsm.size", "bytes of the body"),
	seq = ProtoField.uint32("dsm.seq", "seq of a segment"),
	flags = ProtoField.uint16("dsm.flags", "flags (1 first, 2 last)"),
	data = ProtoField.bytes("dsm.data", "bytes"),
	next = ProtoField.uint32("dsm.next", "next seq wanted"),
	beyond = ProtoField.uint64("dsm.beyond", "bits of what came beyond it", base.HEX),
	id = ProtoField.uint32("dsm.id", "id"),
	kind = ProtoField.uint32("dsm.kind", "kind", base.DEC, kinds),
	index = ProtoField.uint32("dsm.index", "group, owner, or place in a subscription"),
	offset = ProtoField.uint32("dsm.offset", "offset"),
	bytes = ProtoField.uint32("dsm.bytes", "bytes wanted"),
	argument = ProtoField.uint64("dsm.argument", "argument"),
	status = ProtoField.int32("dsm.status", "status (a negative errno)"),
	commit = ProtoField.uint64("dsm.commit", "seq of the commit"),
	beat = ProtoField.uint64("dsm.beat", "heartbeat of an owner"),
	first_owner = ProtoField.uint32("dsm.first_owner", "first owner"),
	group = ProtoField.uint32("dsm.group", "group"),
	generation = ProtoField.uint64("dsm.generation", "generation"),
	heartbeat = ProtoField.uint64("dsm.heartbeat", "heartbeat"),
	state = ProtoField.uint32("dsm.state", "state"),
	owners = ProtoField.uint16("dsm.owners", "owners"),
	counters = ProtoField.uint16("dsm.counters", "counters"),
	groups = ProtoField.uint16("dsm.groups", "groups"),
	bank = ProtoField.uint64("dsm.bank", "bank word"),
	epoch = ProtoField.uint32("dsm.epoch", "epoch"),
	pid = ProtoField.uint32("dsm.pid", "pid"),
	value = ProtoField.uint64("dsm.value", "counter's value"),
	since = ProtoField.uint64("dsm.since", "since"),
	interval = ProtoField.uint32("dsm.interval", "us between two updates of a group at least"),
	nth = ProtoField.uint32("dsm.nth", "every nth commit"),
	change = ProtoField.uint32("dsm.change", "what counts", base.DEC,
		{ [0] = "every commit", [1] = "beyond a band", [2] = "beyond a band in percent" }),
	band = ProtoField.uint64("dsm.band", "band (the bits of a double)", base.HEX),
	number = ProtoField.uint64("dsm.number", "commits carried out, or what is to be said back"),
	zero = ProtoField.bytes("dsm.zero", "zeros"),
}
for _, field in pairs(f) do
	table.insert(dsm.fields, field)
end
local malformed = ProtoExpert.new("dsm.malformed", "Not as the byte tables say", expert.group.MALFORMED,
	expert.severity.ERROR)
dsm.experts = { malformed }

local function wrong(tree, range, why)
	tree:add_proto_expert_info(malformed, why)
	return false
end

-- Adds { field, bytes } one after the other; returns the offset after them.
local function add_all(tree, range, at, layout)
	for _, entry in ipairs(layout) do
		local field, n = f[entry[1]], entry[2]
		if field == f.key_id or field == f.cookie or field == f.message or field == f.zero then
			tree:add(field, range(at, n))
		else
			tree:add_le(field, range(at, n))
		end
		at = at + n
	end
	return at
end

local function all_zero(range)
	for i = 0, range:len() - 1 do
		if range(i, 1):uint() ~= 0 then
			return false
		end
	end
	return true
end

local function errno_or_zero(range)
	local status = range:le_int()
	return status <= 0 and status > -4096
end

-- ---- frames -----------------------------------------------------------------------------------
-- Each gets the tree and the body, adds what is in it, and returns false if it cannot be so.

local read = {}

function read.SEGMENT(tree, b)
	local n = b:len()
	if n < 9 or n > 8 + 1024 then
		return wrong(tree, b, "a SEGMENT has 1 to 1024 bytes")
	end
	add_all(tree, b, 0, { { "seq", 4 }, { "flags", 2 } })
	tree:add(f.data, b(8))
	return (b(4, 2):le_uint() <= 3 and all_zero(b(6, 2))) or wrong(tree, b, "unknown flags")
end

function read.ACK(tree, b)
	if b:len() ~= 12 then
		return wrong(tree, b, "an ACK has 12 bytes")
	end
	add_all(tree, b, 0, { { "next", 4 }, { "beyond", 8 } })
	return true
end

function read.READ(tree, b)
	if b:len() ~= 28 then
		return wrong(tree, b, "a READ has 28 bytes")
	end
	add_all(tree, b, 0, { { "id", 4 }, { "kind", 4 }, { "index", 4 }, { "offset", 4 }, { "bytes", 4 },
		{ "argument", 8 } })
	return kinds[b(4, 4):le_uint()] ~= nil or wrong(tree, b, "no such kind of READ")
end

function read.ANSWER(tree, b)
	local n = b:len()
	if n < 20 or n > 20 + 1024 then
		return wrong(tree, b, "an ANSWER has at most 1024 bytes")
	end
	add_all(tree, b, 0, { { "id", 4 }, { "status", 4 }, { "commit", 8 }, { "offset", 4 } })
	if n > 20 then
		tree:add(f.data, b(20))
	end
	if not errno_or_zero(b(4, 4)) or (b(4, 4):le_int() ~= 0 and n > 20) then
		return wrong(tree, b, "a status that is no errno, or has bytes with it")
	end
	return true
end

function read.ASK(tree, b)
	local n = b:len()
	if n < 12 or n > 12 + 16 * 4 or n % 4 ~= 0 then
		return wrong(tree, b, "an ASK has up to 16 groups")
	end
	add_all(tree, b, 0, { { "beat", 8 }, { "first_owner", 4 } })
	for at = 12, n - 4, 4 do
		tree:add_le(f.group, b(at, 4))
	end
	return true
end

function read.PULSE(tree, b)
	local n = b:len()
	if n < 32 then
		return wrong(tree, b, "a PULSE has 32 bytes at least")
	end
	local owners, counters, groups = b(24, 2):le_uint(), b(26, 2):le_uint(), b(28, 2):le_uint()
	local at = add_all(tree, b, 0, { { "generation", 8 }, { "heartbeat", 8 }, { "state", 4 },
		{ "first_owner", 4 }, { "owners", 2 }, { "counters", 2 }, { "groups", 2 } }) + 2
	if owners > 24 or counters > 64 or groups > 16 or not all_zero(b(30, 2)) or
	   n ~= 32 + 16 * owners + 8 * counters + 12 * groups then
		return wrong(tree, b, "a PULSE whose numbers do not fit its length")
	end
	for _ = 1, owners do
		at = add_all(tree, b, at, { { "bank", 8 }, { "epoch", 4 }, { "pid", 4 } })
	end
	for _ = 1, counters do
		at = add_all(tree, b, at, { { "value", 8 } })
	end
	for _ = 1, groups do
		at = add_all(tree, b, at, { { "group", 4 }, { "commit", 8 } })
	end
	return true
end

local function pair(tree, b, first, second)
	if b:len() ~= 12 then
		return wrong(tree, b, "this frame has 12 bytes")
	end
	add_all(tree, b, 0, { { first, 4 }, { second, 8 } })
	return first ~= "status" or errno_or_zero(b(0, 4)) or wrong(tree, b, "a status that is no errno")
end

function read.WAIT(tree, b)
	return pair(tree, b, "group", "since")
end

function read.NOTIFY(tree, b)
	return pair(tree, b, "group", "commit")
end

function read.COMMITTED(tree, b)
	return pair(tree, b, "status", "number")
end

function read.CLOSE(tree, b)
	if b:len() ~= 4 then
		return wrong(tree, b, "a CLOSE has 4 bytes")
	end
	tree:add_le(f.status, b(0, 4))
	return errno_or_zero(b(0, 4)) or wrong(tree, b, "a status that is no errno")
end

function read.PROVE(tree, b)
	if b:len() ~= 8 then
		return wrong(tree, b, "a PROVE has 8 bytes")
	end
	tree:add_le(f.number, b(0, 8))
	return true
end

-- A band is finite and not negative.
local function is_band(range)
	local high = range(4, 4):le_uint()
	return high < 0x7ff00000
end

function read.SUBSCRIBE(tree, b)
	local n = b:len()
	if n < 48 or n > 20 + 32 * 28 or (n - 20) % 28 ~= 0 then
		return wrong(tree, b, "a SUBSCRIBE has 1 to 32 groups")
	end
	add_all(tree, b, 0, { { "id", 4 }, { "interval", 4 }, { "nth", 4 }, { "generation", 8 } })
	local good = b(0, 4):le_uint() ~= 0 and b(8, 4):le_uint() ~= 0
	for at = 20, n - 28, 28 do
		add_all(tree, b, at, { { "group", 4 }, { "change", 4 }, { "band", 8 }, { "commit", 8 }, { "epoch", 4 } })
		good = good and b(at + 4, 4):le_uint() <= 2 and is_band(b(at + 8, 8))
	end
	return good or wrong(tree, b, "no id, no nth, or no such change or band")
end

function read.SUBSCRIBED(tree, b)
	if b:len() ~= 8 then
		return wrong(tree, b, "a SUBSCRIBED has 8 bytes")
	end
	add_all(tree, b, 0, { { "id", 4 }, { "status", 4 } })
	return errno_or_zero(b(4, 4)) or wrong(tree, b, "a status that is no errno")
end

function read.UNSUBSCRIBE(tree, b)
	if b:len() ~= 4 then
		return wrong(tree, b, "an UNSUBSCRIBE has 4 bytes")
	end
	tree:add_le(f.id, b(0, 4))
	return true
end

local place = { { "id", 4 }, { "index", 4 }, { "commit", 8 } }

function read.UPDATE(tree, b)
	local n = b:len()
	if n < 16 or n > 16 + 1024 then
		return wrong(tree, b, "an UPDATE has at most 1024 bytes")
	end
	add_all(tree, b, 0, place)
	if n > 16 then
		tree:add(f.data, b(16))
	end
	return true
end

function read.UPDATED(tree, b)
	if b:len() ~= 16 then
		return wrong(tree, b, "an UPDATED has 16 bytes")
	end
	add_all(tree, b, 0, place)
	return true
end

-- Frames up to the end; returns their names.
local function read_frames(tree, range)
	local at, names = 0, {}
	while at < range:len() do
		local left = range:len() - at
		local size = left >= 4 and range(at + 2, 2):le_uint() or 0
		if left < 4 or size > left - 4 then
			wrong(tree, range, "a frame that is cut off")
			break
		end
		local kind = range(at, 1):uint()
		local name = frame_types[kind] or "unknown"
		local branch = tree:add(inside, range(at, 4 + size), name)
		branch:add(f.frame, range(at, 1))
		branch:add_le(f.size, range(at + 2, 2))
		if range(at + 1, 1):uint() ~= 0 or kind == 0 then
			wrong(branch, range, "the head of a frame")
			break
		end
		-- a body without bytes is no range in this language
		if read[name] and (size == 0 and wrong(branch, range, "an empty body") or
		   not read[name](branch, range(at + 4, size))) then
			break
		end
		table.insert(names, name)
		at = at + 4 + size
	end
	return table.concat(names, " ")
end

function inside.dissector(tvb, pinfo, tree)
	pinfo.cols.protocol = "DSM"
	pinfo.cols.info = read_frames(tree:add(inside, tvb()), tvb:range())
	return tvb:len()
end

-- ---- datagrams --------------------------------------------------------------------------------

local fixed = {
	INIT = { bytes = INIT_BYTES, { "key_id", 8 }, { "cookie", 16 }, { "message", 64 }, { "zero", INIT_BYTES - 96 } },
	COOKIE = { bytes = 24, { "cookie", 16 } },
	RESP = { bytes = 72, { "message", 64 } },
	REFUSE = { bytes = 12, { "cause", 1 }, { "lowest", 1 }, { "highest", 1 }, { "zero", 1 } },
}

local function add_counter(tree, range)
	tree:add(f.flow, range(7, 1))
	tree:add_le(f.counter, range(0, 8), range(0, 8):le_uint64():band(UInt64(0xffffffff, 0x7fffffff)))
end

local function check_fixed(tree, range, name)
	if name == "REFUSE" and (not causes[range(8, 1):uint()] or range(9, 1):uint() > range(10, 1):uint() or
	   range(11, 1):uint() ~= 0) then
		wrong(tree, range, "no such cause, or no range of versions")
	end
end

local function read_data(tree, range)
	local n = range:len()
	if n < 32 or n > LONGEST then
		return wrong(tree, range, "a DATA has 32 to 1200 bytes")
	end
	add_counter(tree, range(8, 8))
	if n > 32 then
		tree:add(f.sealed, range(16, n - 32))
	end
	tree:add(f.tag, range(n - TAG, TAG))
end

function dsm.dissector(tvb, pinfo, tree)
	if tvb:len() < HEAD or tvb(0, 2):uint() ~= MAGIC then
		return 0
	end
	local range, n = tvb:range(), tvb:len()
	local name = types[tvb(3, 1):uint()] or "unknown"
	local branch = tree:add(dsm, tvb(), "dsm " .. name)
	pinfo.cols.protocol = "DSM"
	pinfo.cols.info = string.format("%s %u, %d bytes", name, tvb(4, 4):le_uint(), n)
	branch:add(f.magic, tvb(0, 2))
	branch:add(f.version, tvb(2, 1))
	branch:add(f.type, tvb(3, 1))
	branch:add_le(f.name, tvb(4, 4))
	-- a REFUSE is read whatever version it is of: it says which ones there are
	if tvb(2, 1):uint() ~= VERSION and name ~= "REFUSE" then
		wrong(branch, range, "another version than 1")
	elseif fixed[name] and n ~= fixed[name].bytes then
		wrong(branch, range, "not as long as this type is")
	elseif fixed[name] then
		add_all(branch, range, HEAD, fixed[name])
		check_fixed(branch, range, name)
	elseif name == "DATA" then
		read_data(branch, range)
	elseif name == "RESET" and n == 16 then
		add_counter(branch, range(8, 8))
	else
		wrong(branch, range, "no such type, or not as long as it is")
	end
	return n
end

-- ---- ADC boards -------------------------------------------------------------------------------

local resets = { [0] = "unknown", "power", "reset pin", "watchdog", "software", "brown-out" }
local a = {
	magic = ProtoField.string("dsm_adc.magic", "magic"),
	version = ProtoField.uint8("dsm_adc.version", "version"),
	reset = ProtoField.uint8("dsm_adc.reset", "last start", base.DEC, resets, 0x07),
	fault = ProtoField.bool("dsm_adc.fault", "converter failed", 8, nil, 0x08),
	simulated = ProtoField.bool("dsm_adc.simulated", "simulated", 8, nil, 0x10),
	no_epoch = ProtoField.bool("dsm_adc.no_epoch", "boot counter not stored", 8, nil, 0x20),
	overrun = ProtoField.bool("dsm_adc.overrun", "samples lost", 8, nil, 0x40),
	link_lost = ProtoField.bool("dsm_adc.link_lost", "network was away", 8, nil, 0x80),
	n = ProtoField.uint8("dsm_adc.n", "channels"),
	log2 = ProtoField.uint8("dsm_adc.log2", "samples averaged, log2"),
	device = ProtoField.uint32("dsm_adc.device", "device"),
	epoch = ProtoField.uint32("dsm_adc.epoch", "boot counter"),
	seq = ProtoField.uint32("dsm_adc.seq", "seq"),
	uptime = ProtoField.uint64("dsm_adc.uptime", "uptime, us"),
	levels = ProtoField.uint32("dsm_adc.levels", "levels", base.HEX),
	presses = ProtoField.uint8("dsm_adc.presses", "presses"),
	channel = ProtoField.uint16("dsm_adc.channel", "channel"),
	tag = ProtoField.bytes("dsm_adc.tag", "tag"),
}
for _, field in pairs(a) do
	table.insert(adc.fields, field)
end
local adc_malformed = ProtoExpert.new("dsm_adc.malformed", "Not as the byte table says",
	expert.group.MALFORMED, expert.severity.ERROR)
adc.experts = { adc_malformed }

local function adc_fields(tree, tvb)
	tree:add(a.version, tvb(4, 1))
	for _, field in ipairs { a.reset, a.fault, a.simulated, a.no_epoch, a.overrun, a.link_lost } do
		tree:add(field, tvb(5, 1))
	end
	tree:add(a.n, tvb(6, 1))
	tree:add(a.log2, tvb(7, 1))
	tree:add_le(a.device, tvb(8, 4))
	tree:add_le(a.epoch, tvb(12, 4))
	tree:add_le(a.seq, tvb(16, 4))
	tree:add_le(a.uptime, tvb(20, 8))
	tree:add_le(a.levels, tvb(28, 4))
	for i = 0, 7 do
		tree:add(a.presses, tvb(32 + i, 1))
	end
end

function adc.dissector(tvb, pinfo, tree)
	local size = tvb:len()
	if size < 48 or tvb(0, 4):string() ~= "DADC" then
		return 0
	end
	local n, branch = tvb(6, 1):uint(), tree:add(adc, tvb(), "dsm ADC board")
	pinfo.cols.protocol = "DSM-ADC"
	pinfo.cols.info = string.format("device %u, epoch %u, seq %u", tvb(8, 4):le_uint(), tvb(12, 4):le_uint(),
		tvb(16, 4):le_uint())
	branch:add(a.magic, tvb(0, 4))
	if tvb(4, 1):uint() ~= 1 or size ~= 48 + 2 * n then
		branch:add_proto_expert_info(adc_malformed, "another version, or not exactly 48 + 2n bytes")
		return size
	end
	adc_fields(branch, tvb)
	for i = 0, n - 1 do
		branch:add_le(a.channel, tvb(40 + 2 * i, 2))
	end
	branch:add(a.tag, tvb(size - 8, 8))
	if tvb(7, 1):uint() > 15 then
		branch:add_proto_expert_info(adc_malformed, "averages more samples than version 1 can")
	end
	return size
end

local ports = DissectorTable.get("udp.port")
ports:add(7461, dsm)
ports:add(7462, adc)
ports:add_for_decode_as(inside)
