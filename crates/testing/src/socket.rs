//! WebSockets, as simulated nodes use them.

use grid_protocol::limits;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async_with_config, connect_async_with_config,
};

pub(crate) use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a socket. Buffers are small, so that thousands fit; writes gather
/// until they are flushed.
pub(crate) async fn open(url: &str, max_message: usize) -> Result<Socket, SocketError> {
    connect_async_with_config(url, Some(small(max_message)), true).await.map(|(socket, _)| socket)
}

fn small(max_message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(8 * 1024)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
}

/// Opens a node's socket, from this address where one is named: a relay takes
/// 127.0.1.1 and 127.0.2.1 for nodes of two networks.
pub(crate) async fn open_node(url: &str, from: Option<Ipv4Addr>) -> Result<Socket, SocketError> {
    let Some(from) = from else { return open(url, limits::MAX_MESSAGE).await };
    let request = url.into_client_request()?;
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let relay: SocketAddr = authority.unwrap_or_default().parse().map_err(std::io::Error::other)?;
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(relay).await?;
    stream.set_nodelay(true)?;
    let config = Some(small(limits::MAX_MESSAGE));
    let opened = client_async_with_config(request, MaybeTlsStream::Plain(stream), config).await;
    opened.map(|(socket, _)| socket)
}

/// `http://host` as `ws://host/v1/node`.
pub(crate) fn node_url(origin: &str) -> String {
    format!("{}/v1/node", origin.replacen("http", "ws", 1))
}
