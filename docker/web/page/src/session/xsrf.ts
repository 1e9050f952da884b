/**
 * The XSRF token that the gate set as a cookie for this session; "" if there is none.
 *
 * Browsers list the cookie of the longest path first: a named server's own before the default
 * server's.
 */
export function xsrfToken(cookies: string = document.cookie): string {
  for (const cookie of cookies.split(";")) {
    const [name, ...value] = cookie.trim().split("=");
    if (name === "_xsrf") return decodeURIComponent(value.join("="));
  }
  return "";
}
