//! The configuration of a load balancer in front of API servers, as an operator would write one.

use super::Node;

/// nginx with `stream` in front of the API servers of these nodes, at their own port: [`super::Lab::start_balancer`].
pub fn api_balancer(nodes: &[Node]) -> String {
    let servers: Vec<String> = nodes.iter().map(|node| format!("server {}:6443;", node.address)).collect();
    let servers = servers.join(" ");
    format!(
        "include /etc/nginx/modules-enabled/*.conf;
         events {{}}
         stream {{
           upstream api {{ {servers} }}
           server {{ listen 6443; proxy_pass api; proxy_connect_timeout 1s; }}
         }}"
    )
}
