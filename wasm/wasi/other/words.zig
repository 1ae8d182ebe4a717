//! Counts the words of a file, in Zig, with its standard library: see README.md for what all `words` do.
const std = @import("std");

fn lessThan(_: void, a: []const u8, b: []const u8) bool {
    return std.mem.lessThan(u8, a, b);
}

pub fn main(init: std.process.Init) !void {
    const io = init.io;
    const arena = init.arena.allocator();
    var buffer: [1024]u8 = undefined;
    var stdout: std.Io.File.Writer = .init(.stdout(), io, &buffer);
    const out = &stdout.interface;

    try out.print("{s} from a program in Zig\n", .{init.environ_map.get("GREETING") orelse "nothing"});
    const arguments = (try init.minimal.args.toSlice(arena))[1..];
    for (arguments, 1..) |argument, i| try out.print("argument {d}: {s}\n", .{ i, argument });
    if (arguments.len != 2) {
        try out.flush();
        std.process.exit(2);
    }

    const cwd = std.Io.Dir.cwd();
    const text = cwd.readFileAlloc(io, arguments[0], arena, .limited(1 << 20)) catch {
        try out.print("{s} cannot be read\n", .{arguments[0]});
        try out.flush();
        std.process.exit(1);
    };
    var counts: std.StringHashMapUnmanaged(u32) = .empty;
    var names: std.ArrayList([]const u8) = .empty;
    var words = std.mem.tokenizeAny(u8, text, " \t\r\n");
    while (words.next()) |word| {
        const entry = try counts.getOrPut(arena, word);
        if (!entry.found_existing) {
            entry.value_ptr.* = 0;
            try names.append(arena, word);
        }
        entry.value_ptr.* += 1;
    }
    std.mem.sort([]const u8, names.items, {}, lessThan);

    var list: std.Io.Writer.Allocating = .init(arena);
    for (names.items) |name| try list.writer.print("{s} {d}\n", .{ name, counts.get(name).? });
    try cwd.writeFile(io, .{ .sub_path = arguments[1], .data = list.written() });
    const back = try cwd.readFileAlloc(io, arguments[1], arena, .limited(1 << 20));
    const same = if (std.mem.eql(u8, back, list.written())) "read back as written" else "changed";
    try out.print("{s}{d} words, {s}\n", .{ back, names.items.len, same });

    const before = std.Io.Clock.awake.now(io);
    try io.sleep(.fromMilliseconds(20), .awake);
    const slept = before.durationTo(std.Io.Clock.awake.now(io)).toNanoseconds() >= 20_000_000;
    try out.print("{s}\n", .{if (slept) "slept" else "did not sleep"});
    try out.flush();
    std.process.exit(3);
}
