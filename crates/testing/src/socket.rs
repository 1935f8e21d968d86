//! WebSockets, as simulated nodes use them.

use grid_protocol::limits;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

pub(crate) use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a socket. Buffers are small, so that thousands fit; writes gather
/// until they are flushed.
pub(crate) async fn open(url: &str, max_message: usize) -> Result<Socket, SocketError> {
    let config = WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(8 * 1024)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message));
    connect_async_with_config(url, Some(config), true).await.map(|(socket, _)| socket)
}

/// Opens a node's socket.
pub(crate) async fn open_node(url: &str) -> Result<Socket, SocketError> {
    open(url, limits::MAX_MESSAGE).await
}

/// `http://host` as `ws://host/v1/node`.
pub(crate) fn node_url(origin: &str) -> String {
    format!("{}/v1/node", origin.replacen("http", "ws", 1))
}
