//! The functions on a guest's stack, from Wasmtime's backtrace.

use crate::frame::Frame;
use wasmtime::{AsContext, FrameInfo, WasmBacktrace};

/// The frames of the guest that has called the host, the innermost first: as many as the engine keeps.
pub(super) fn frames(store: impl AsContext) -> Vec<Frame> {
    WasmBacktrace::force_capture(store).frames().iter().map(frame).collect()
}

/// A frame in this library's terms.
fn frame(info: &FrameInfo) -> Frame {
    let (module, name) = (info.module().name().map(String::from), info.func_name().map(String::from));
    source(info, Frame::new(module, info.func_index(), name, info.module_offset()))
}

/// The frame with its place in the source. Of functions that were inlined, that of the innermost.
#[cfg(feature = "dwarf")]
fn source(info: &FrameInfo, frame: Frame) -> Frame {
    let place = |symbol: &wasmtime::FrameSymbol| Some((symbol.file()?.to_string(), symbol.line().unwrap_or(0)));
    match info.symbols().first().and_then(place) {
        Some((file, line)) => frame.at(file, line),
        None => frame,
    }
}

/// There is nothing in this build that reads DWARF.
#[cfg(not(feature = "dwarf"))]
fn source(_: &FrameInfo, frame: Frame) -> Frame {
    frame
}
