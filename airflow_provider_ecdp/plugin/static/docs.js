// A page of the documentation follows Airflow's light or dark, as the report does.

import { followTheme } from "./page.js";

followTheme();
