// Pure, and also read by a test, which compares them with the API's answers.

/** The statuses with their own counters, which the summary reads; 0 is no response. */
export const STATUSES = [0, 200, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 431, 500, 502, 503, 504]
